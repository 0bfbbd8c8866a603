"""Makes tests/data/wordpiece: texts and the ids that Hugging Face's `tokenizers` gives them.

    python make_wordpiece.py    # needs tokenizers; reads tests/data/minilm/vocab.txt

lines.json    cases {"options", "text", "pair", "max_length", "ids", "types"}; ids with [CLS] and [SEP]
unicode.txt   for every 4096 code points an FNV-1a hash of what the normaliser and the pre-tokeniser make of each
The tests need only the files, not this script.
"""
import json
import pathlib
import random

from tokenizers import BertWordPieceTokenizer
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

here = pathlib.Path(__file__).parent
vocabulary = str(here / "minilm" / "vocab.txt")

TEXTS = """
Hello, world!|The quick brown fox jumps over the lazy dog.|I'm can't won't shouldn't've o'clock|
Antidisestablishmentarianism and floccinaucinihilipilification|unaffable unwanted runnings embeddings tokenization|
HeLLo HOW are U?|ÀÉÎÕÜ àéîõü ñ ç ß ẞ Æ œ Ø Å|naïve café résumé coöperate façade jalapeño Zürich|e\u0301 a\u0308 o\u0302\u0323 u\u031b\u0301 combining|
İstanbul ıstanbul IĞDIR Ş ş|ΑΒΓ Σίσυφος ὈΔΥΣΣΕΎΣ ᾳ ΐ ﬃ|Привет, мир! Ёлка подъезд й и\u0306|Їжак і Ґанок|Здравей свят|
你好，世界！|我爱北京天安门。今天天气很好|機器學習與深度學習|日本語のテキスト、カタカナ、ひらがな、漢字。|ガギグゲゴ パピプ は\u3099|こんにちは世界 ﾊﾝｶｸ|
안녕하세요 세계|한국어 형태소 분석기 각 \u1112\u1161\u11ab|ภาษาไทยไม่มีการเว้นวรรค|สวัสดีชาวโลก น้ำ|नमस्ते दुनिया|हिन्दी में क्षत्रिय ज्ञान ड़ ढ़|বাংলা ভাষা|தமிழ் மொழி|తెలుగు|ಕನ್ನಡ|മലയാളം|ગુજરાતી|ਪੰਜਾਬੀ|සිංහල|
שלום עולם|שָׁלוֹם עֲלֵיכֶם|مرحبا بالعالم|العَرَبِيَّةُ ٱلْفُصْحَىٰ|سلام دنیا می‌خواهم|اردو زبان ۱۲۳|كتاب، قلم؟ نعم؛|\u202bRTL\u202c embedded \u200f mark|
ქართული ენა ᲥᲐᲠᲗᲣᲚᲘ|Հայերեն լեզու|አማርኛ ቋንቋ።|ខ្មែរ|ລາວ|မြန်မာ|བོད་ཡིག་|ᏣᎳᎩ ꭰꭱ|ᓀᐦᐃᔭᐍᐏᐣ|Tiếng Việt có nhiều dấu thanh|Ðð Þþ Łł Đđ Ħħ Ŋŋ Ŧŧ|Dž ǅ ǆ Ǳ|
😀 😃 😄 emoji|👨‍👩‍👧‍👦 family|🇩🇪 🇯🇵 flags|👍🏽 skin tone|❤️ heart ☀︎|I ❤ NY ☕️|🫠🥹🫶 new ones|e\u20dd keycap 1️⃣ #️⃣|
∑ ∫ ∂ ∇ ≈ ≠ ≤ ≥ ∞ √ π|x² + y² = z²|E = mc²|∀x∈ℝ: ⌈x⌉ = −⌊−x⌋|α→β ⇒ γ ∧ ¬δ|½ ¾ ⅓ Ⅷ ⅷ ①②|10⁻³ H₂O CO₂|𝒜𝓑𝕔 𝔇 𝟘𝟙|ﬁ ﬂ ﬀ ligatures|
https://example.com/path?query=1&b=2#frag|mailto:someone@example.org|ftp://user:pass@host:21/a_b-c.tar.gz|www.test.co.uk/~name/index.html|C:\\\\Windows\\\\System32|/usr/local/bin/python3.11|
for (int i = 0; i < n; ++i) { a[i] += b[i]; }|std::vector<std::string> names = {"a", "b"};|def f(x): return x**2 # comment|SELECT * FROM t WHERE a='b';|<div class="x">text</div>|{"key": [1, 2.5, null]}|a->b.c(d)[e]|$PATH ${HOME} `cmd`|
[CLS] [SEP] [MASK] [PAD] [UNK]|The capital of France is [MASK].|[MASK][MASK] twice|x[SEP]y|[sep] [mask] lower|[ MASK ] [MASK|[[MASK]]|[unused0] [unused99]|[MASK]é[SEP]漢|##ing ## #hash ##|
1,234,567.89|3.14159|1e-10 0x1F 007|12/31/1999 23:59:59|+49 (0)30 123-456|$100 €50 £20 ¥1000 ₹5 ₿|50% §3 ¶ †‡ • … ‰|A–B — C―D ‐hyphen‑nb|“quoted” ‘single’ «guillemets» „low“|¡Hola! ¿Qué tal?|a_b_c __init__ --flag -x|!!! ??? ... ,,, ;;;|@user #tag|
tab\\there|new\\nline|cr\\r\\nlf|  leading and trailing  |multiple     spaces|nb\u00a0space thin\u2009space ideographic\u3000space|zero\u200bwidth joiner\u200d non\u200cjoiner\ufeffbom|soft\u00adhyphen|line\u2028sep para\u2029sep|nel\u0085char vt\u000bff\u000c|
nul\u0000char bell\u0007 esc\u001b[0m del\u007f|c1\u0080\u009f controls|private \ue000 \uf8ff \U000f0000|replacement \ufffd char|noncharacter \ufffe \uffff \U0010ffff|unassigned \u0378 \U000e0fff|tags \U000e0041\U000e007f|
㐀 䶵 ext A 𠀀 𪛖 ext B 𪜀 ext C 𫝀 ext D 𫠠 𫢠 ext E 豈 﨎 compat 丽 supplement|〇 々 〆 ヶ 々|㈱ ㍿ ㎏ ⼀ ⺀|ｆｕｌｌｗｉｄｔｈ ＡＢＣ １２３ ！？|𝐇𝐞𝐥𝐥𝐨|ᵗʰⁱˢ ₜₕᵢₛ|Ａ\u0301|\u0301 alone|\u0301\u0301\u0301|a\u0334\u0327\u0301\u0345 order|q\u0307\u0323 q\u0323\u0307|\u1b44\u0323\u1b44|각\u11a8|
""".strip()


def texts(random_lines):
    result = ["", " ", "\n", "\u0301", "a", "A", ".", "中", "😀"]
    for line in TEXTS.split("\n"):
        result += [part.replace("\\\\", "\x00").replace("\\n", "\n").replace("\\t", "\t").replace("\\r", "\r").replace("\x00", "\\") if "\x00" not in part else part for part in line.split("|") if part]
    for length in (1, 2, 50, 99, 100, 101, 150):
        result += ["a" * length, "é" * length, "e\u0301" * length, "word " + "xy" * length + " end", "中" * length, "😀" * length, "." * length, "한" * length]
    source = random.Random(7)
    words = [line.rstrip("\n") for line in open(vocabulary, encoding="utf-8")]
    pools = ["abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789.,-+/%", " !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", "àâäéèêëîïôöùûüÿçñßøåæœ",
             "абвгдежзийклмнопрстуфхцчшщъыьэюяЁЙ", "αβγδεζηθικλμνξοπρστυφχψωάέήίόύώ", "的一是不了人我在有他这中大来上国", "あいうえおかきくけこアイウエオ", "가각간갈감갑강개객",
             "\u0300\u0301\u0302\u0323\u0327\u0334\u0345\u05b0\u064b\u093c\u3099", "אבגדהוזחט", "ابتثجحخد", "กขคงจฉชซ", "😀😁🤖👍🏽\u200d\ufe0f", "  \t\n\u00a0\u3000"]
    for _ in range(random_lines):
        kind = source.randrange(4)
        if kind == 0:
            text = " ".join(source.choice(words).replace("##", "") for _ in range(source.randrange(1, 30)))
        elif kind == 1:
            text = "".join(source.choice(source.choice(pools)) for _ in range(source.randrange(1, 60)))
        elif kind == 2:
            text = "".join(chr(source.choice([source.randrange(0x20, 0x250), source.randrange(0x250, 0x3000), source.randrange(0x3000, 0xD7FF), source.randrange(0xE000, 0x20000)]))
                           for _ in range(source.randrange(1, 40)))
        else:
            text = "".join(source.choice(words).replace("##", "") + source.choice(["", "", " ", ".", "\u0301", "-", "[SEP]", "中"]) for _ in range(source.randrange(1, 20)))
        result.append(text)
    return result


def tokenizer(options):
    return BertWordPieceTokenizer(vocabulary, clean_text=options.get("clean_text", True), handle_chinese_chars=options.get("split_chinese", True),
                                  strip_accents=options.get("strip_accents"), lowercase=options.get("lowercase", True))


def case(options, text, pair=None, max_length=None):
    tool = tokenizer(options)
    if max_length:
        tool.enable_truncation(max_length, strategy="longest_first")
    encoding = tool.encode(text, pair) if pair is not None else tool.encode(text)
    result = {"text": text, "ids": encoding.ids}
    if options:
        result["options"] = options
    if pair is not None:
        result.update(pair=pair, types=encoding.type_ids)
    if max_length:
        result["max_length"] = max_length
    return result


def fnv(data):
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 % (1 << 64)
    return value


def main():
    folder = here / "wordpiece"
    folder.mkdir(exist_ok=True)
    everything, some = texts(400), texts(40)
    cases = [case({}, text) for text in everything]
    for options in ({"lowercase": False}, {"lowercase": False, "strip_accents": True}, {"strip_accents": False}, {"split_chinese": False}, {"clean_text": False}):
        cases += [case(options, text) for text in some]
    source = random.Random(11)
    for max_length in (3, 4, 5, 8, 17, 64):
        for _ in range(12):
            cases.append(case({}, source.choice(everything), source.choice(everything), max_length))
            if max_length > 2:
                cases.append(case({}, source.choice(everything), None, max_length))
    with open(folder / "lines.json", "w") as file:
        file.write("[\n" + ",\n".join(json.dumps(entry) for entry in cases) + "\n]\n")

    normalizer, splitter = BertNormalizer(), BertPreTokenizer()
    with open(folder / "unicode.txt", "w") as file:
        for first in range(0, 0x110000, 0x1000):
            data = b""
            for c in range(first, first + 0x1000):
                if 0xD800 <= c <= 0xDFFF:
                    continue
                pieces = len(splitter.pre_tokenize_str("a" + chr(c) + "b"))
                data += normalizer.normalize_str(chr(c)).encode() + b"\n" + b"-SP"[pieces - 1:pieces]
            file.write(f"{first:06x} {fnv(data):016x}\n")
    print(len(cases), "cases")


if __name__ == "__main__":
    main()
