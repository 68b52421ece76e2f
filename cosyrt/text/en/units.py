"""Symbols of units and their English names."""

from __future__ import annotations

# A symbol, its name, and its plural where that is not the name with an s; `_` stands for a blank.
_TABLE = """
km kilometer; m meter; cm centimeter; mm millimeter; dm decimeter; nm nanometer; µm micrometer; um micrometer;
mi mile; yd yard; yds yard; ft foot feet; ft. foot feet; kg kilogram; kgs kilogram; g gram; mg milligram;
µg microgram;
mcg microgram; ng nanogram; pg picogram; lb pound; lbs pound; lb. pound; lbs. pound; oz ounce; oz. ounce;
fl_oz fluid_ounce; fl_oz. fluid_ounce; fl._oz. fluid_ounce; L liter; l liter; dL deciliter; dl deciliter;
cL centiliter;
mL milliliter; ml milliliter; µL microliter; gal gallon; gal. gallon; qt quart; qt. quart; pt pint;
pt. pint; tsp teaspoon; tsp. teaspoon;
tbsp tablespoon; tbsp. tablespoon; Tbsp tablespoon; ha hectare; s second; sec second; sec. second;
secs second; ms millisecond;
µs microsecond; ns nanosecond; min minute; min. minute; mins minute; h hour; hr hour; hr. hour; hrs hour;
hrs. hour; yr year; yrs year; yrs. year;
wk week; wks week; mo month; mos month; mph mile_per_hour miles_per_hour;
kph kilometer_per_hour kilometers_per_hour;
kmh kilometer_per_hour kilometers_per_hour; fps frame_per_second frames_per_second;
rpm revolution_per_minute revolutions_per_minute; bpm beat_per_minute beats_per_minute;
pts point; PTS point; µF microfarad; nF nanofarad; pF picofarad; mF millifarad; kDa kilodalton; Mpc megaparsec;
kpc kiloparsec; eV electronvolt; keV kiloelectronvolt; MeV megaelectronvolt; GeV gigaelectronvolt; mH millihenry; mpg mile_per_gallon miles_per_gallon;
ppm part_per_million parts_per_million; ppb part_per_billion parts_per_billion;
dpi dot_per_inch dots_per_inch;
psi pound_per_square_inch pounds_per_square_inch; mmHg millimeter_of_mercury millimeters_of_mercury;
mm_Hg millimeter_of_mercury millimeters_of_mercury; Hz hertz hertz; kHz kilohertz kilohertz;
KHz kilohertz kilohertz;
MHz megahertz megahertz; GHz gigahertz gigahertz; THz terahertz terahertz; KB kilobyte; kB kilobyte;
MB megabyte; GB gigabyte;
TB terabyte; PB petabyte; KiB kibibyte; MiB mebibyte; GiB gibibyte; TiB tebibyte; kb kilobit; Kb kilobit;
Mb megabit; Gb gigabit;
bps bit_per_second bits_per_second; kbps kilobit_per_second kilobits_per_second;
Kbps kilobit_per_second kilobits_per_second;
Mbps megabit_per_second megabits_per_second; Gbps gigabit_per_second gigabits_per_second; V volt;
kV kilovolt; mV millivolt;
mA milliamp; mAh milliamp_hour; Ah amp_hour; W watt; kW kilowatt; MW megawatt; GW gigawatt; mW milliwatt;
Wh watt_hour;
kWh kilowatt_hour; KWh kilowatt_hour; kwh kilowatt_hour; MWh megawatt_hour; GWh gigawatt_hour;
TWh terawatt_hour; J joule; kJ kilojoule; MJ megajoule; cal calorie;
kcal kilocalorie; kN kilonewton; Nm newton_meter; Pa pascal; hPa hectopascal; kPa kilopascal;
MPa megapascal; bar bar;
mbar millibar; atm atmosphere; hp horsepower horsepower; dB decibel; dBA A-weighted_decibel; Ω ohm;
kΩ kilohm; mol mole; mmol millimole;
µmol micromole; nmol nanomole; mEq milliequivalent; IU international_unit; mIU milli_international_unit;
px pixel; lx lux lux; lm lumen;
MP megapixel; ly light_year; sq_ft square_foot square_feet; sq._ft. square_foot square_feet;
sqft square_foot square_feet;
sq_m square_meter; sq_km square_kilometer; sq_mi square_mile; cu_ft cubic_foot cubic_feet; rad radian;
mSv millisievert; Sv sievert;
°C degree_Celsius degrees_Celsius; °F degree_Fahrenheit degrees_Fahrenheit; ° degree; K kelvin kelvins
"""
_BARE_AFTER_SLASH = {
    "s": "second", "sec": "second", "h": "hour", "hr": "hour", "hour": "hour", "min": "minute", "d": "day",
    "day": "day", "mo": "month", "month": "month", "yr": "year", "year": "year", "wk": "week", "week": "week",
    "night": "night", "person": "person", "serving": "serving",
}  # fmt: skip


def _entry(written: str) -> tuple[str, tuple[str, str]]:
    symbol, one, *several = written.replace("\n", " ").split()
    names = (one, *several, one + "s")[:2]
    return symbol.replace("_", " "), (names[0].replace("_", " "), names[1].replace("_", " "))


UNITS: dict[str, tuple[str, str]] = dict(map(_entry, _TABLE.split(";")))
PER = {symbol: one for symbol, (one, _) in UNITS.items() if symbol[0] != "°"} | _BARE_AFTER_SLASH
