"""Symbols of units and their Chinese names."""

from __future__ import annotations

_TABLE = """
km 公里; m 米; cm 厘米; mm 毫米; dm 分米; nm 纳米; µm 微米; um 微米; kg 公斤; KG 公斤; Kg 公斤; g 克;
mg 毫克; µg 微克; ug 微克; ng 纳克; pg 皮克;
t 吨; lb 磅; lbs 磅; oz 盎司; L 升; l 升; dL 分升; dl 分升; mL 毫升; ml 毫升; ML 毫升; µL 微升; ul 微升;
ha 公顷; s 秒; ms 毫秒; µs 微秒; us 微秒; ns 纳秒; min 分钟;
h 小时; hr 小时; mph 英里每小时; kph 公里每小时; rpm 转每分; bpm 次每分; ppm ppm; mmHg 毫米汞柱; Hz 赫兹;
kHz 千赫兹; KHz 千赫兹; MHz 兆赫兹; GHz 吉赫兹; V 伏; kV 千伏; KV 千伏;
mV 毫伏; A 安; mA 毫安; mAh 毫安时; Ah 安时; W 瓦; kW 千瓦; KW 千瓦; MW 兆瓦; GW 吉瓦; kWh 千瓦时;
KWh 千瓦时; kwh 千瓦时; Wh 瓦时; MWh 兆瓦时; J 焦; kJ 千焦;
cal 卡; kcal 千卡; N 牛; kN 千牛; Pa 帕; kPa 千帕; hPa 百帕; MPa 兆帕; bar 巴; atm 个大气压; hp 马力;
dB 分贝; Ω 欧姆; kΩ 千欧; mol 摩尔; mmol 毫摩尔; µmol 微摩尔; umol 微摩尔;
nmol 纳摩尔; IU 国际单位; U 单位; px 像素; ft 英尺; mi 英里; yd 码; °C 摄氏度; °F 华氏度; ° 度; ″ 英寸;
cd 坎德拉; lx 勒克斯; lm 流明; mSv 毫西弗; K 开; fps 帧每秒; bp 个基点; BP 个基点; Mbps 兆比特每秒; Gbps 吉比特每秒;
kbps 千比特每秒
"""
UNITS: dict[str, str] = dict(entry.replace("\n", " ").split() for entry in _TABLE.split(";"))
PER = UNITS | {
    "d": "天",
    "day": "天",
    "天": "天",
    "日": "日",
    "年": "年",
    "月": "月",
    "时": "时",
    "秒": "秒",
    "分": "分",
    "人": "人",
    "次": "次",
}
