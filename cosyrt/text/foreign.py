"""Languages that the rules cannot read numbers in: their text is left as it is written."""

from __future__ import annotations

import re

from cosyrt.text.scripts import has_han

# Frequent words that are no English ones and hardly names, and those that stand beside numbers.
_WORDS = {
    "German":
        "der das und ist nicht ein eine einen einem einer mit auf für von dem ich wir sie ihr haben habe "
        "hatte hatten sind wird werden wurde wurden im zum zur auch nach bei uhr euro kostet kosten jahre "
        "jahren jahr tage tagen stunden stunde minuten sekunden wochen woche monate monat kinder katzen "
        "hunde leute menschen stück prozent grad kilo es seit oder aber noch gibt kein keine mein meine "
        "dein deine sein seine unser unsere wie wo wann warum heute morgen gestern bitte danke hallo guten "
        "nur schon sehr mehr als wenn dass über unter zwischen gegen ohne durch bis ab etwa ungefähr "
        "treffen kommt komme gehen geht fährt wohne wohnt straße januar februar märz mai juni juli oktober "
        "dezember montag dienstag mittwoch donnerstag freitag samstag sonntag zwei drei vier fünf sechs "
        "sieben acht neun zehn um kann können müssen muss seite kapitel band zug bus zimmer nummer telefon "
        "personen geboren uns alt",
    "French":
        "reste restent degrés fait acheté gagné vol porte chapitre les une du est pas dans sur avec nous "
        "vous il ils elle elles sont étaient était été aux ce cet cette ces ans heures heure minutes jours "
        "jour semaines mois année années euros euro coûte coûtent je tu mon ma mes ton ta tes ses leur "
        "leurs qui que quoi mais où ou ai as avons avez ont suis sommes êtes y deux trois quatre cinq sept "
        "huit neuf dix chats chiens enfants personnes gens kilos mètres pour cent numéro rue page bonjour "
        "merci oui très bien aussi encore toujours jamais hier demain prix vers entre sans chez depuis "
        "pendant rendez appelez habite habitons train part départ arrive janvier février mars avril juin "
        "juillet août septembre octobre novembre décembre lundi mardi mercredi jeudi vendredi samedi "
        "dimanche beaucoup moins environ plus votre notre à voudrais",
    "Spanish":
        "quedan entradas hubo ganaron ganamos grados temperatura vuelo puerta el una unos unas es está "
        "están en por para con que del se tiene tienen tengo tienes tenemos años año euros euro pesos "
        "dólares cuesta cuestan hay este esta estos estas más pero como yo tú él ella ellos nosotros mi tu "
        "su mis tus sus horas hora minutos minuto segundos días día semanas semana meses mes personas niños "
        "hijos hermanos hermanas gatos gato perros perro cervezas kilos metros quiero quiere queremos vivo "
        "vive vivimos soy eres somos fue era estoy estamos estaba gracias hola tarde noche nada todo buenos "
        "buenas favor sí también muy bien ahora hoy mañana ayer desde hasta entre sin sobre cuando donde "
        "porque cuántos cuántas cuánto número calle página capítulo precio dos tres cuatro cinco seis siete "
        "ocho nueve diez veces vez ciento millones mil enero febrero abril mayo junio julio agosto "
        "septiembre octubre noviembre diciembre lunes martes miércoles jueves viernes sábado domingo "
        "reunión habitación llama llámame compré vendió llegó nació usted ustedes les nos las los tomates "
        "compra llegada",
    "Italian":
        "comprato vinto chiamami gradi mancano ci volo abbiamo siamo hanno ho hai questo questa questi gli "
        "una è sono non di per con che della dei delle degli nel nella nei al alla ai alle dal dalla sul "
        "sulla anni anno euro costa costano più ma come mio mia tuo tua suo sua ore ora minuti minuto "
        "giorni giorno settimane settimana mesi mese persone bambini figli fratelli gatti gatto cani cane "
        "chili metri vorrei voglio vuole abito abita grazie ciao buongiorno anche molto bene oggi domani "
        "ieri fino tra senza quando dove perché quanti quante quanto numero pagina capitolo prezzo tre "
        "cinque sei sette otto nove dieci volte volta cento mila milioni gennaio febbraio marzo aprile "
        "maggio giugno luglio agosto settembre ottobre novembre dicembre lunedì martedì mercoledì giovedì "
        "venerdì sabato domenica treno parte stanza stato stata nato nata",
    "Portuguese":
        "os uma uns umas é são está estão em por para que da dos das no na nos nas com tem têm tenho temos "
        "anos ano euros reais custa custam mais mas eu ele ela nós vocês você meu minha seu sua às horas "
        "hora minutos minuto segundos dias dia semanas semana meses mês pessoas crianças filhos irmãos "
        "gatos gato cães cachorros quilos metros quero quer moro mora sou somos foi era estou estamos "
        "obrigado obrigada olá bom boa também muito bem agora hoje amanhã ontem desde até entre sem sobre "
        "quando onde porque quantos quantas quanto número rua página capítulo preço dois duas três quatro "
        "cinco seis sete oito nove dez vezes vez cento milhões mil janeiro fevereiro março abril maio junho "
        "julho agosto setembro outubro novembro dezembro segunda terça quarta quinta sexta sábado domingo "
        "reunião quarto não nasceu à",
    "Dutch":
        "het een en niet van voor met op dat zijn heeft hebben heb jaar jaren euro kost kosten ik wij ook "
        "naar bij maar uur dagen dag weken maanden minuten mensen kinderen katten honden twee drie vier "
        "vijf zes zeven acht negen tien vandaag morgen gisteren dank hallo geen meer veel deze dit die "
        "wordt werd straat kamer nummer januari februari maart juni juli augustus oktober maandag dinsdag "
        "woensdag donderdag vrijdag zaterdag zondag ongeveer tussen om de trein",
    "Polish":
        "nie jest są w na z i do się że to ma mam lat lata złotych kosztuje oraz przez dla godzin godziny "
        "godzina minut dni osób dwa trzy cztery pięć dzień dobry dziękuję proszę jak ale czy tak już kot "
        "koty kotów roku",
    "Swedish":
        "och är inte en ett på för med att som har jag år kostar vi kronor timmar minuter dagar två tre "
        "fyra fem idag tack hej klockan barn katter hundar den det till från",
    "Danish":
        "og er ikke en et på for med at som har jeg år koster vi kroner timer minutter dage to tre fire fem "
        "tak hej klokken børn katte hunde den det til fra",
    "Turkish":
        "ve bir bu için değil ile var yaşında lira saat çok ben iki üç dört beş kedi gün dakika kişi "
        "merhaba teşekkürler",
    "Vietnamese":
        "tuổi anh ấy tôi và là của không có một cho được với này năm hai ba bốn con người ngày giờ phút "
        "đồng",
    "Indonesian":
        "yang dan di ini itu dengan untuk tidak saya kami kita anda dari pada adalah akan tahun hari jam "
        "menit orang rupiah dua tiga empat lima kucing selamat terima kasih sudah belum",
    "Hungarian":
        "ez az és nem van egy év éves forint ember perc óra most már csak vagy hogy mint",
    "Finnish":
        "minulla sinulla hänellä ei ja oli vuotta vuoden kissaa euroa kello minuuttia tuntia on se mutta",
    "Romanian":
        "și este ani nu lei sunt am are cu pentru din care ore minute luni anul",
    "Czech":
        "není na v se že to má mám roků korun stojí a hodin minut dnů dva tři čtyři pět dobrý den děkuji "
        "jsem jsou byl koček",
}  # fmt: skip
_ENGLISH = frozenset(
    (
        "the of and to in is it you that he was for on are with as i his they be at have this from or had "
        "by but what all were we when your can said there an each which she do how their if will up about "
        "out many then them these so some her would him into has my than no not a please me its our us did "
        "does call version room chapter costs cost bought sold born only where who why been being over "
        "under after before between new old first last next more most other any just like also back year "
        "years day days hour hours minute minutes second seconds week weeks month months people person men "
        "women children cat cats dog dogs price total page number street see open opens opened close closed "
        "go goes went come comes came get got make made take took use used say says think know want need "
        "help here now today tomorrow yesterday good bad big small long short high low yes hello thanks "
        "thank won lost win beat scored percent million billion thousand hundred one two three four five "
        "six seven eight nine ten january february march april may june july august september october "
        "november december monday tuesday wednesday thursday friday saturday sunday off per way work works "
        "worked live lives lived play played plays run ran runs ate eat flight done train bus gate route "
        "times drink drank add mix bake cook serve turn press click read write wrote meet met join send "
        "sent buy sell died inch inches feet foot pounds dollars dollar"
    ).split()
)  # fmt: skip
# Of a single letter, a part of names, or spelled as an English word: no proof of either.
_BOTH = frozenset(
    (
        "reste vol porte se care are minute luni ani cu din van most mint ez az perc ja fait puerta am über "
        "la los las el le il lo les des a i in is no on an me die as or so was to by de had son pour den "
        "plus e o y z w do per del della di da en ton mars part train page bus minutes band acht sang que "
        "mes era mil mis sin come once main bien mayo march grad fire todo v timer for at et hai ai var ben "
        "con ma mi tu su sei dos tres das na nos nas ou us you it min more dove due es im kilo kilos kinder "
        "mit der von um euro euros pesos arrive sept cent entre encore du est mon rue prix sans elle "
        "pendant hay favor buenos julio domingo soy diez vive vivo llama yo cane chili al che ho stanza non "
        "nato ore mia mila com os eu met op ale roku barn till med som vi tack er ve lira jam dan lima "
        "agosto reunion"
    ).split()
)  # fmt: skip
# Of each language, words that are its own and words that are of others too.
_LANGUAGES = [
    (words - _BOTH, words & _BOTH) for words in (frozenset(text.split()) for text in _WORDS.values())
]
_ENGLISH_ONLY = _ENGLISH - _BOTH
_OWN = frozenset[str]().union(*(own for own, _ in _LANGUAGES))
_WORD = re.compile(r"(?<![\w])[^\W\d_]+(?![\w])")
_LATIN = re.compile(r"[A-Za-z\u00c0-\u024f\u1ea0-\u1ef9]")
_SPANISH_MARKS = re.compile("[¿¡]")
_SHORT = 6  # words: of so few, one is proof


def is_foreign(text: str, *, goes_on: bool = False) -> bool:
    """Whether text without Chinese or Japanese is in another language than English.

    `goes_on` says that the text before it was: without an English word it stays so.
    """
    found = [word for word in _WORD.findall(text) if word.isalpha()]
    if not text.isascii() and _is_mostly_of_other_letters(found):
        return True
    words = {word.lower() for word in found if not _is_code(word, text)}
    english = len(words & _ENGLISH_ONLY)
    if goes_on and words and not english:
        return True
    if english and words.isdisjoint(_OWN):
        return False
    marks = sum(not word.isascii() for word in words) + len(_SPANISH_MARKS.findall(text))
    return any(_is_in(words, *language, english, marks) for language in _LANGUAGES)


def _is_mostly_of_other_letters(words: list[str]) -> bool:
    """Whether more than half of the letters are of other alphabets than the Latin one."""
    return sum(len(_LATIN.findall(word)) for word in words) * 2 < sum(map(len, words))


def _is_code(word: str, text: str) -> bool:
    """Whether a word is a few capitals among small letters: `LHR`, which is no word of any language."""
    return len(word) <= 4 and word.isupper() and not text.isupper()


def is_english_clause(text: str) -> bool:
    """Whether a clause of a Chinese sentence is English: no hanzi, and words that only English has."""
    if has_han(text) or not any(character.isdecimal() for character in text):
        return False
    words = [word.lower() for word in _WORD.findall(text) if len(word) > 1 or word == "I"]
    return len(words) >= 3 and any(word in _ENGLISH for word in words)


def is_mostly_english(text: str) -> bool:
    """Whether a sentence with hanzi is an English one that quotes them: `He said 我爱你 3 times.`"""
    words = [word.lower() for word in _WORD.findall(text) if word.isascii()]
    han = sum(map(has_han, text))
    return len(words) >= 3 and len(words) > han and sum(word in _ENGLISH for word in words) * 2 >= len(words)


def _is_in(words: set[str], own: frozenset[str], shared: frozenset[str], english: int, marks: int) -> bool:
    """Whether enough of the words are of a language, and more than are English.

    One word is enough among few, or beside others that several languages have; of those alone three are. A
    letter with an accent counts as a further word.
    """
    strong, weak = len(words & own), len(words & shared)
    if not english and weak >= (2 if marks else 3):
        return True
    if strong and marks:
        strong += 1
    if strong <= english:
        return False
    return strong >= 2 or (not english and (weak >= 2 or len(words) <= _SHORT))
