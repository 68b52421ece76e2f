"""English training texts: everyday sentences from a grammar, random words in sentence frames, made-up words."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import ascii_lowercase

from cosyrt.text.english import English
from recipes.builtin_voice.grammar import expand, rules

WORD_LIST = Path("/usr/share/dict/american-english-small")  # Debian's wamerican-small (SCOWL)

RULES = rules("""
sentence: {statement}. / {statement}. / {statement}. / {statement}, {and} {clause}. / {question}? / {question}?
 / {order}. / {order}, please. / {exclaim}! / {when}, {clause}. / If {present}, {will}. / {clause} because {clause}.
 / {clause} {after} {clause}. / {talk} / {fact}. / {opener}, {clause}. / "{clause}," said {name}. / {list}. / {advice}.
statement: {clause} / {clause} {time} / {clause} {place} / {will} / {present} / {feeling}
clause: {human} {past} / {human} {past} / {human} {past_t} {object} / {human} {past_t} {object} / {human} {past_t} {object}
 / {thing_s} was {adjective} / {thing_p} were {adjective} / {human} {past_t} {object} {place}
 / {human} was {ing} {object} / {human} {modal} {base_t} {object} / {human} {modal} {base} {time} / there was {a_thing} {place}
 / {human} {past} {adverb} / {human} {adverb} {past_t} {object} / {human} had never {part_t} {object}
 / {thing_s} that {human} {past_t} was {adjective} / {human} told {whom} that {thing_s} was {adjective}
 / {human} wanted to {base_t} {object} / {human} tried to {base} {time} / {human} {past_t} {object} with {object}
present: {thing_s} is {adjective} / {thing_p} are {adjective} / you {base_t} {object} / they {base} {time} / we {base_t} {object}
 / {she} {s_t} {object} / {she} never {s_t} {object} / I {base_t} {object} every {day} / it is {adjective} / it rains {time}
will: {human} will {base_t} {object} / {human} will {base} {time} / I am going to {base_t} {object} / we should {base} {time}
 / it will be {adjective} {time} / {thing_s} will be {adjective}
question: {aux} {subject} {base_t} {object} / {aux} {subject} {base} {time} / where {did} {subject} {base} / why {did} {subject} {base_t} {object}
 / when {did} {subject} {base_t} {object} / how {did} {subject} {base_t} {object} / who {past_t} {object} / what did {human} {base}
 / is {thing_s} {adjective} / are {thing_p} {adjective} / have you ever {part_t} {object} / which {noun} do you like best
 / how much is {thing_s} / how many {plural} are there {place} / is there {a_thing} {place} / what time does {thing_s} open
 / could you {base_t} {object} / would you like {a_thing} / isn't {thing_s} {adjective} / what does {thing_s} look like
 / who is that {person} {place} / do you know where {thing_s} is / whose {noun} is this / can I help you with {object}
order: {base_t} {object} / {base_t} {object} {place} / don't {base_t} {object} / let's {base_t} {object} / {base_t} {object} and {base_t} {object}
 / go {place} and {base_t} {object} / never {base_t} {object} {place} / turn left at {thing_s} / tell {whom} about {object}
exclaim: what {a_thing} / how {adjective} / {thing_s} is so {adjective} / look at {object} / that's {adjective} / be careful with {object}
 / I can't believe {human} {past_t} {object} / watch out for {object} / congratulations
talk: Yes, {clause}. / No, {clause}. / Well, {clause}. / Thank you, {name}. / Good {part}, {name}. / Sorry, {clause}. / Hello, {name}, how are you {time}?
 / Excuse me, {question}? / I think {present}. / I don't think {clause}. / Maybe {present}. / Of course {will}. / See you {time}. / I'm glad {clause}.
 / {name}, {order}. / Oh, {clause}! / That's right, {name}. / You're welcome. / I'm {name}, and this is {name}. / It's {hour} o'clock.
 / Are you sure, {name}? / Never mind. / I'd like {a_thing} and {a_thing}, please. / We'll {base_t} {object}, won't we? / They've {part_t} {object} already.
fact: the answer is {letter} / it costs {number} dollars / the train leaves at {clock} / {name} was born in {year} / it is {number} miles to {town} / there are {number} {plural} {place}
 / the meeting is on {day_name}, {month} {ordinal} / {number} percent of the {plural} are {adjective} / {number} plus {number} is {number}
 / the {ordinal} {noun} is {adjective} / call {digits} / page {number} is {adjective} / {number} of the {plural} came from {town}
 / the temperature is {number} degrees / {name} is {number} years old / the flight to {town} takes {number} hours
 / in {year}, {clause} / the number is {digits} / it is spelled {spelling} / {name} works for the {spelling} / the {spelling} announced {thing_p} / it's {clock} in {town} / from {month} to {month}, {thing_s} is {adjective}
feeling: I love {plural} and {plural} / {human} felt {adjective} {time} / {name} looks {adjective} / this {noun} smells {adjective} / those {plural} seem {adjective}
 / {she} is as {adjective} as {a_thing} / {thing_s} is more {adjective} than {thing_s} / I would rather {base} than {base_t} {object}
list: we bought {plural}, {plural}, and {plural} / {name}, {name}, and {name} {past} / {she} needs {a_thing}, {a_thing}, and {a_thing}
 / red, {color}, {color}, and {color} / {number}, {number}, {number}, {number} / {place}, {place}, and {place} / {month}, {month}, and {month}
advice: the best way to {base} is to {base_t} {object} / to {base_t} {object}, you must {base} / it is {adjective} to {base_t} {object}
 / before you {base}, {base_t} {object} / {ing} {object} makes {whom} {adjective} / the more you {base}, the more you {base_t}
and: and / but / so / and then / or / yet
after: after / before / while / when / until / although / since / where
opener: Yesterday / However / In fact / For example / After all / Finally / Suddenly / On the other hand / Fortunately / As usual / At first
when: {time} / when {human} {past} / after {human} {past_t} {object} / every {day} / as {human} {past} / once {human} {past_t} {object} / while {human} was {ing} {object}
human: {subject} / {subject} / {subject} / {name} / {name} and {name} / the {person} / the {person} / my {person} / her {person} / our {person} / a {adjective_b} {person} / some {plural} / the {adjective} {person} / nobody / everyone / someone / {name}'s {person}
subject: I / you / we / they / he / she / it
she: he / she / my {person} / the {person} / {name} / everybody
whom: me / him / her / us / them / {name} / my {person} / the {person}
object: {thing_s} / {thing_s} / {thing_p} / {a_thing} / {whom} / it / them / {plural} / the {noun} of {thing_s} / {number} {plural} / something / his {noun} / her {adjective} {noun}
thing_s: the {noun} / the {noun} / the {adjective} {noun} / my {noun} / your {noun} / this {noun} / that {adjective} {noun} / the {person}'s {noun} / {name}'s {noun} / the {noun} {place}
thing_p: the {plural} / these {plural} / those {adjective} {plural} / all the {plural} / most {plural} / our {plural} / the {adjective} {plural}
a_thing: a {noun_c} / a {adjective_b} {noun} / a {noun_c} of {plural} / a {noun_c} / some {plural} / another {noun} / one {noun}
did: did / does / do / can / should / will / would
aux: did / do / does / can / could / will / would / should / didn't / won't / can't / might / must / shouldn't
modal: could / couldn't / can / can't / should / would / wouldn't / might / must / may / didn't / has to / used to / needs to
time: today / tomorrow / yesterday / tonight / every {day} / last {day} / next {day} / in the {part} / at night / at noon / on {day_name} / in {month} / at {clock} / this {part}
 / two days ago / all day long / for {number} minutes / again / soon / right now / before breakfast / after lunch / in a moment / once a week / since {year} / by {clock}
place: in the {spot} / at the {spot} / near the {spot} / behind the {spot} / by the {spot} / across the {spot} / on the {noun} / under the {noun} / here / there / outside / at home / in {town}
 / over the {spot} / through the {spot} / next to the {noun} / between the {spot} and the {spot} / around the {spot} / above the {noun} / beside the {noun} / upstairs / from {town} / toward the {spot} / inside the {noun}
day: day / week / month / year / morning / evening / summer / winter / weekend / hour / spring / autumn / night
part: morning / afternoon / evening / night
day_name: Monday / Tuesday / Wednesday / Thursday / Friday / Saturday / Sunday
month: January / February / March / April / May / June / July / August / September / October / November / December
clock: {hour} / {hour} thirty / {hour} fifteen / {hour} o'clock / {hour} forty five / half past {hour} / a quarter to {hour} / ten past {hour} / {hour} twenty / noon / midnight / {hour} o five
hour: one / two / three / four / five / six / seven / eight / nine / ten / eleven / twelve
spelling: {letter} {letter} / {letter} {letter} {letter} / {letter} {letter} {letter} {letter}
letter: B / C / D / E / F / G / H / I / J / K / L / M / N / O / P / Q / R / S / T / U / V / W / X / Y / Z
digit: zero / one / two / three / four / five / six / seven / eight / nine / o
digits: {digit} {digit} {digit} {digit} / {digit} {digit} {digit}, {digit} {digit} {digit} {digit} / {digit} {digit} {digit}, {digit} {digit} {digit}, {digit} {digit} {digit} {digit}
unit: one / two / three / four / five / six / seven / eight / nine
teen: ten / eleven / twelve / thirteen / fourteen / fifteen / sixteen / seventeen / eighteen / nineteen
tens: twenty / thirty / forty / fifty / sixty / seventy / eighty / ninety
small: {unit} / {teen} / {tens} / {tens} {unit} / {tens} {unit}
number: {unit} / {teen} / {tens} / {tens} {unit} / {small} / {unit} hundred / {unit} hundred and {small} / {unit} thousand / {small} thousand {unit} hundred and {small} / {unit} point {digit} / {unit} million / {unit} and a half / {unit} billion
ordinal: first / second / third / fourth / fifth / sixth / seventh / eighth / ninth / tenth / eleventh / twelfth / thirteenth / fifteenth / twentieth / twenty first / twenty third / thirtieth / thirty first
year: nineteen {tens} {unit} / nineteen {tens} / eighteen {tens} {unit} / two thousand and {unit} / twenty {teen} / twenty twenty {unit} / seventeen {tens} {unit} / nineteen o {unit}
color: red / blue / green / yellow / purple / orange / black / white / brown / gray / pink / gold / silver
town: London / Paris / Boston / Chicago / Berlin / Tokyo / China / France / Canada / Texas / New York / Beijing / Rome / Dublin / Sydney / Africa / Europe / Spain / Mexico / Shanghai / Oxford / Germany / Japan / India / Brazil / Florida
name: John / Mary / David / Sarah / Tom / Alice / Peter / Emma / James / Anna / George / Lucy / Henry / Julia / Paul / Rachel / Mark / Laura / Robert / Susan / Charles / Helen / Jack / Kate / Michael / Jane / Oliver / Sophie / Daniel / Grace / Mister Brown / Doctor Jones / Mrs Smith / Miss Taylor / Uncle Joe / William / Victor / Hugh / Joyce / Ruth
person: man / woman / boy / girl / teacher / doctor / child / friend / neighbor / farmer / driver / student / nurse / brother / sister / mother / father / uncle / aunt / cousin / captain / judge / soldier / artist / singer / writer / king / queen / baker / lawyer / engineer / police officer / waiter / manager / cook / grandmother / son / daughter / husband / wife / boss / stranger / pilot / guest / thief / winner / player / leader / baby / scientist / customer
noun: {noun_c} / {noun_c} / {noun_c} / {noun_v} / {noun_m}
noun_c: book / house / car / dog / cat / table / chair / window / door / tree / flower / river / road / letter / box / bottle / cup / knife / fork / spoon / plate / shirt / coat / hat / shoe / bag / bed / lamp / clock / watch / phone / computer / picture / song / story / game / ball / boat / ship / train / bus / bicycle / plane / bridge / tower / wall / roof / garden / field / forest / mountain / lake / beach / stone / star / moon / cloud / storm / fire / bird / fish / horse / cow / sheep / pig / rabbit / mouse / lion / bear / snake / bee / bread / cake / pie / potato / tomato / sandwich / meal / menu / bill / ticket / map / key / lock / rope / wheel / engine / machine / tool / hammer / nail / brush / mirror / curtain / carpet / blanket / pillow / towel / button / pocket / belt / ring / necklace / gift / party / wedding / lesson / question / problem / plan / dream / idea / joke / secret / reason / mistake / choice / job / business / bank / market / price / coin / dollar / law / rule / war / fight / prize / race / team / goal / voice / sound / noise / word / sentence / page / paper / pencil / pen / desk / school / class / test / number / shape / circle / square / line / corner / hole / cage / path / journey / trip / visit / holiday / message / newspaper / magazine / radio / television / camera / film / movie / stage / dance / drum / guitar / piano / violin / bell / whistle / candle / jar / barrel / basket / bucket / ladder / shovel / fence / gate / yard / village / city / castle / church / hospital / library / museum / hotel / restaurant / kitchen / bathroom / bedroom / cellar / chimney / shelf / drawer / kettle / pan / stove / fridge / shower / bath / valley / cave / desert / jungle / leaf / root / branch / seed / vegetable / lemon / peach / pear / cherry / grape / banana / carrot / bean / nut / cheese sandwich / pizza / doll / toy / puzzle / vision / treasure / measure / garage
noun_v: apple / orange / egg / island / umbrella / elephant / engine / office / airport / onion / animal / answer / accident / address / army / hour / evening / exam / elevator / airplane / arm / eye / ear / old coat / oven / ocean
noun_m: water / milk / coffee / tea / sugar / salt / bread / butter / rice / money / music / weather / snow / rain / wind / sunshine / grass / gold / glass / wood / wool / silk / cotton / air / work / homework / news / advice / luck / health / love / pleasure / television / soup / meat / chicken / juice / cheese / chocolate / ice / earth / smoke / oil / garlic / honey / furniture / traffic / time / youth / truth / leisure
plural: books / houses / cars / dogs / cats / tables / chairs / windows / doors / trees / flowers / rivers / roads / letters / boxes / bottles / cups / knives / plates / shirts / coats / shoes / bags / beds / clocks / phones / computers / pictures / songs / stories / games / balls / boats / ships / trains / buses / bridges / walls / gardens / fields / mountains / lakes / stones / stars / clouds / birds / horses / cows / sheep / pigs / mice / bears / snakes / bees / cakes / potatoes / tomatoes / sandwiches / tickets / maps / keys / wheels / machines / tools / nails / towels / buttons / rings / gifts / parties / lessons / questions / problems / plans / dreams / ideas / jokes / reasons / mistakes / jobs / banks / prices / coins / dollars / laws / rules / races / teams / voices / sounds / words / pages / pens / schools / classes / tests / lines / children / people / men / women / teachers / doctors / friends / neighbors / students / soldiers / apples / oranges / eggs / islands / elephants / offices / animals / answers / months / clothes / teeth / feet / leaves / cherries / grapes / months / tourists / guests / villages / judges / peaches / wishes / bushes / masks / desks / photographs / lengths / mouths / baths / youths / breaths
spot: house / kitchen / garden / park / street / river / school / station / market / shop / office / beach / forest / hill / bridge / corner / library / hospital / church / museum / airport / town / village / farm / field / lake / tower / yard / hotel / harbor / square / cellar / theater / restaurant / bank / post office / playground / valley / gate / hall / city
adjective: {adjective_b} / {adjective_b} / {adjective_b} / old / easy / empty / early / open / angry / interesting / important / expensive / unhappy / honest / ugly / awful / excellent / enormous / orange / unusual / ancient / afraid / alone / amazing / available
adjective_b: big / small / little / long / short / tall / new / young / good / bad / nice / hot / cold / warm / cool / fast / slow / hard / soft / heavy / light / dark / bright / clean / dirty / dry / wet / full / rich / poor / happy / sad / strong / weak / quiet / loud / sweet / sour / bitter / fresh / sharp / smooth / rough / round / flat / deep / wide / narrow / thick / thin / high / low / cheap / free / busy / lazy / kind / cruel / brave / shy / proud / clever / wise / foolish / strange / funny / serious / simple / difficult / dangerous / safe / beautiful / pretty / famous / popular / modern / ready / late / true / false / real / red / blue / green / yellow / white / black / brown / gray / golden / wooden / broken / hidden / lost / tired / hungry / thirsty / sick / healthy / wonderful / terrible / perfect / careful / useful / gentle / friendly / lovely / noisy / sleepy / smelly / square / pleasant / comfortable / delicious / possible / favorite / huge / tiny / common / rare / cloudy / sunny / wild / calm / jealous / nervous / curious / usual / casual / worth it / northern / smart
adverb: quickly / slowly / quietly / loudly / carefully / happily / sadly / suddenly / always / never / often / sometimes / usually / really / almost / finally / easily / badly / gently / together / alone / early / late / already / still / just / even / only / simply / probably / certainly / nearly / hardly / secretly / rarely / bravely / politely / eagerly / clearly
past: came / went / left / arrived / smiled / laughed / cried / slept / woke up / ran away / walked home / stood up / sat down / fell / waited / listened / worked / played / danced / sang / swam / jumped / shouted / whispered / stopped / started / returned / disappeared / agreed / argued / talked / spoke / traveled / rested / died / won / lost / breathed / sneezed / coughed / yawned / hurried / stayed / moved away / grew up / changed / apologized / knelt / dreamed / drove off / flew away
base: come / go / leave / arrive / smile / laugh / cry / sleep / wake up / run / walk home / stand up / sit down / fall / wait / listen / work / play / dance / sing / swim / jump / shout / whisper / stop / start / return / disappear / agree / argue / talk / speak / travel / rest / win / lose / breathe / sneeze / hurry / stay / change / think / dream / rise / learn / fly
past_t: saw / heard / found / lost / bought / sold / made / broke / took / gave / brought / carried / held / threw / caught / kicked / pushed / pulled / opened / closed / washed / cleaned / cooked / ate / drank / read / wrote / drew / painted / built / fixed / used / wanted / needed / liked / loved / hated / knew / forgot / remembered / watched / followed / met / helped / asked / answered / called / told / showed / taught / learned / chose / changed / finished / began / touched / covered / counted / moved / kept / stole / hid / wore / paid for / looked at / looked for / waited for / talked about / thought about / laughed at / listened to / noticed / measured / judged / joined / enjoyed / visited / invited / described / explained / repeated / believed / received / sent / cut / tasted / smelled / fed / chased / rode / drove / grabbed / dropped / lifted / crushed / squeezed / destroyed / saved / shook / borrowed / wrapped / planned / guarded / voted for
base_t: see / hear / find / lose / buy / sell / make / break / take / give / bring / carry / hold / throw / catch / kick / push / pull / open / close / wash / clean / cook / eat / drink / read / write / draw / paint / build / fix / use / want / need / like / love / hate / know / forget / remember / watch / follow / meet / help / ask / answer / call / tell / show / teach / learn / choose / change / finish / begin / touch / cover / count / move / keep / steal / hide / wear / pay for / look at / look for / wait for / talk about / think about / laugh at / listen to / notice / measure / judge / join / enjoy / visit / invite / describe / explain / repeat / believe / receive / send / cut / taste / smell / feed / chase / ride / drive / grab / drop / lift / crush / squeeze / destroy / save / shake / borrow / wrap / plan / guard / put away / pick up / turn off
s_t: sees / hears / finds / loses / buys / sells / makes / breaks / takes / gives / brings / carries / holds / throws / catches / kicks / pushes / pulls / opens / closes / washes / cleans / cooks / eats / drinks / reads / writes / draws / paints / builds / fixes / uses / wants / needs / likes / loves / hates / knows / forgets / remembers / watches / follows / meets / helps / asks / answers / calls / tells / shows / teaches / learns / chooses / changes / finishes / touches / counts / moves / keeps / wears / enjoys / visits / thinks about / listens to / talks about / judges / joins / says / does / has
ing: seeing / hearing / finding / buying / selling / making / breaking / taking / giving / bringing / carrying / holding / throwing / catching / kicking / pushing / pulling / opening / closing / washing / cleaning / cooking / eating / drinking / reading / writing / drawing / painting / building / fixing / using / watching / following / meeting / helping / asking / calling / telling / showing / teaching / choosing / changing / touching / counting / moving / hiding / wearing / looking at / looking for / waiting for / talking about / thinking about / laughing at / listening to / measuring / judging / enjoying / visiting / describing / explaining / sending / cutting / tasting / feeding / chasing / riding / driving / shaking / planning
part_t: seen / heard / found / lost / bought / sold / made / broken / taken / given / brought / carried / held / thrown / caught / opened / washed / cooked / eaten / drunk / read / written / drawn / painted / built / fixed / used / wanted / needed / liked / loved / known / forgotten / watched / followed / met / helped / asked / called / told / shown / taught / chosen / finished / touched / kept / stolen / hidden / worn / enjoyed / visited / believed / received / driven / ridden / shaken / been to / done / felt / thought about
spoken: {answer} / {answer} / {narration} / {narration} / {dialogue} / {notice}
answer: Sure, I can help you with that. {step} / Of course. First, {order_low}. Then {order_low}, and you are done. / That's a good question. {because} / I'm sorry, I could not find {thing_s}. Would you like me to look {place}?
 / Here is what I found: {thing_s} is {adjective}, and it costs {number} dollars. / It is {clock} now, so you still have {number} minutes before you have to leave for the {spot}. / Your next meeting is {time}, and it is about {thing_p}. / I have added {plural} and {plural} to your list.
 / There are {number} ways to {base_t} {a_thing}. The easiest one is to {base_t} it {time}. / The weather in {town} will be {adjective} {time}, with {number} degrees in the {part}. / {town} has about {number} people, and it is known for its {plural}. / I would suggest that you {base_t} {object} before you {base}.
 / As far as I know, {clause}, but I am not completely sure. / Yes, that is possible. You only have to {base_t} {object} and wait {number} minutes. / No, that is not quite right: {thing_s} was {adjective} in {year}, not {time}. / Great choice! {thing_s} goes well with {noun_m} and {noun_m}. / Let me explain it step by step. {step} After that, {clause}. / In short, {because}
 / I have set a timer for {number} minutes. / You have {number} new messages. The first one is from {name}: "{talk_low}" / To cook {plural}, boil some {noun_m}, add {noun_m} and {noun_m}, and stir gently for {number} minutes. / The word {noun} has {number} letters. / If that does not work, try to {base_t} {object} again, or ask your {person}.
step: Open the {noun_c}, choose {thing_s}, and press the {color} button. / Turn to page {number} and read the {ordinal} line. / Take {number} of the {plural}, and put them {place}. / Keep the {noun} {place}, and do not {base_t} it until {clock}. / Write down the number of {thing_s}, and {base_t} it later.
because: {thing_s} is {adjective} because the {plural} are {adjective}. / Most people {base_t} {object} because it makes them {adjective_b}. / When {thing_s} gets {adjective_b}, {thing_p} become {adjective}, and that is why {clause}. / It depends on {thing_s}: some {plural} are {adjective_b}, others are not.
narration: It was a {adjective} {part}, and {thing_s} lay {place}, {adjective_b} and {adjective_b}. / The {person} looked up slowly, as if {thing_s} had spoken. / For a long time nobody said anything; only {thing_s} could be heard, somewhere {place}. / {name} had lived {place} for {number} years, and in all that time {clause}.
 / They walked on without a word, past {thing_s}, past {thing_p}, until they came to {thing_s} at the end of the {spot}. / In those days, {thing_p} were {adjective}, and no one thought it strange that {clause}. / She held the {noun} in her hand, turned it over, and wondered who had {part_t} it. / At last the {noun_c} opened, and out came a {adjective_b} {person} with {a_thing} under one arm.
 / What happened next is hard to describe. {clause}, and then, quite suddenly, {clause}. / The {spot} was full of {plural}; it smelled of {noun_m} and of {noun_m}. / Once upon a time there was a {adjective_b} {person} who {past_t} {a_thing} and never {past_t} it again. / He knew it was {adjective}, and yet he could not help himself: he {past_t} {object}, and {past_t} it again.
 / Far away, beyond the {spot}, a {noun_c} was {ing} something in the {adjective_b} light. / By the time {name} {past}, the {plural} were gone, and so was {thing_s}. / Nothing in the {spot} moved, except the {plural} and, now and then, {a_thing}.
dialogue: "{question}?" asked {name}. "{clause}," the {person} answered. / "I don't know," said {name}, "but I think {present}." / "Come here," she whispered. "{clause}." / "{exclaim}!" cried the {person}. "{question}?" / "Well," said the {person} after a while, "{clause}." / {name} laughed. "You always say that," {name} said, "and then {present}."
 / "Are you sure?" "Yes, I am. {clause}." / "Tell me about {thing_s}," said {name}. "There is not much to tell. {clause}."
notice: Attention, please. The train to {town} will leave at {clock} from platform {number}. / Please keep your {plural} with you, and do not leave {thing_s} {place}. / This is {name} from {town}, with the news at {clock}. / In {town}, {number} {plural} were {part_t} {time}, the {person} said. / Prices rose by {number} percent, while {plural} became {adjective}. / Thank you for calling. If you want to {base_t} {object}, press {unit}. / The {spot} is closed on {day_name}, and opens again on {day_name} at {clock}. / Scientists in {town} have {part_t} a {adjective_b} {noun} that could change how people {base_t} {object}.
order_low: {base_t} {object} / {base_t} {object} {place} / wait {number} minutes / go {place}
talk_low: See you {time}. / Could you {base_t} {object}? / I'm {place}. / Please call me {time}.
phrase: {spelling} / thank you / good morning / good night / see you later / of course / no problem / never mind / excuse me / come in / well done / not yet / all right / hello there / goodbye / happy birthday / as soon as possible / very well / once upon a time / the end / yes please / no thanks / I see / me too / how are you / what's up / {a_thing} / {thing_s} / {number} / {name} / {clock} / {day_name} / {month} / {place} / {time}
""")

_FRAMES = (
    "{w} {w} and {w}. / The {w} {w} of {w}. / {w} {w}, {w} {w}. / A {w} is not a {w}. / They {w} the {w} with {w}. / {w} or {w}? / Is {w} {w}? / My {w} was {w} in the {w}. / Every {w} needs a {w}, but {w} {w} cannot. "
    "/ {w}, {w}, {w}, and {w}. / {w} {w} {w} {w}. / It was {w} to {w}. / Do you {w} {w} {w}? / {w} from the {w} at {w}. / He said {w} for {w}. / She is {w}, as {w} as {w}. / What {w} {w}! / {w} {w} {w} {w} {w} {w}. "
    "/ This {w} has {w} on it. / You have a {w} that {w}. / When {w} {w}, the {w} {w} {w}. / I would {w} if {w} were {w}. / Not {w}, {w}! / {w} by {w}, {w} into {w}, they {w} all the {w} {w}. / {w} {w}. / {w} with {w} {w} {w}, {w} {w} {w}."
).split(" / ")


@dataclass(frozen=True, slots=True)
class Words:
    """Ordinary words that teacher and dictionary read alike, and words that are in no dictionary."""

    known: Sequence[str]
    unknown: Sequence[str]


def load_words(teacher_reads: Callable[[str], list[str]] | None = None) -> Words:
    """Split the word list; `teacher_reads` gives the teacher's phones of a word, such as `hh ax0 l ow1`.

    Without it, every word of the dictionary is known: the teacher is told the phones.

    Raises:
        FileNotFoundError: the word list is not installed.
    """
    english = English()
    listed = [
        word for word in WORD_LIST.read_text(encoding="utf-8").split() if word.isascii() and word.isalpha()
    ]
    known = [
        word
        for word in listed
        if (ours := english.words.get(word.lower(), ""))
        and (teacher_reads is None or _agree(ours, teacher_reads(word.lower())))
    ]
    unknown = [w for w in listed if len(w) > 3 and english.read(w)[0][0].startswith("L:")]
    return Words(known, unknown)


def _agree(ours: str, theirs: list[str]) -> bool:
    return bool(ours) and [_loose(p) for p in ours.split()] == [_loose(p.upper()) for p in theirs]


def _loose(phone: str) -> str:
    """A phone without its stress; the weak vowels, which dictionaries mix up, are one."""
    bare = phone.rstrip("012")
    return {"AX": "AH", "IH": "AH", "AO": "AA"}.get(bare, bare)


def sentence(choose: random.Random, words: Words, position: int) -> str:
    """One training text; consecutive positions walk through the known words, so that all are said."""
    kind = choose.random()
    if kind < 0.06:
        return _capital(words.known[position * 7919 % len(words.known)]) + choose.choice("...?!")
    if kind < 0.10:
        return _capital(expand(RULES, "phrase", choose)) + choose.choice("...?!")
    if kind < 0.24:
        return _frame(choose, lambda: choose.choice(words.known))
    if kind < 0.31:
        return _frame(choose, lambda: _mostly_unknown(choose, words))
    if kind < 0.48:
        return _capital(expand(RULES, "spoken", choose))
    if kind < 0.56:
        return " ".join(_capital(expand(RULES, "sentence", choose)) for _ in range(choose.choice((2, 2, 3))))
    return _capital(expand(RULES, "sentence", choose))


def _frame(choose: random.Random, word: Callable[[], str]) -> str:
    pieces = choose.choice(_FRAMES).split("{w}")
    return _capital("".join(piece + word() for piece in pieces[:-1]) + pieces[-1])


def _mostly_unknown(choose: random.Random, words: Words) -> str:
    kind = choose.random()
    if kind < 0.3:
        return choose.choice(words.known)
    return choose.choice(words.unknown) if kind < 0.6 else _made_up(choose, words)


def _made_up(choose: random.Random, words: Words) -> str:
    """The front of one word and the back of another, which mostly is no word; some with a letter changed."""
    front, back = choose.choice(words.known).lower(), choose.choice(words.known).lower()
    word = front[: choose.randint(2, 4)] + back[-choose.randint(2, 4) :]
    if choose.random() < 0.6:
        return word
    place = choose.randrange(len(word))
    return word[:place] + choose.choice(ascii_lowercase) + word[place + 1 :]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
