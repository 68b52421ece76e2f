"""What is said digit by digit in Chinese: telephone numbers, codes, identifiers, flights, rooms, versions."""

from __future__ import annotations

import re

from cosyrt.text.rules import EUROPEAN, any_of, plain_number, rules
from cosyrt.text.zh.numbers import cardinal, digits, telephone

_WEB_SIGNS = {".": "点", "/": "斜杠", ":": "冒号", "?": "问号", "=": "等于", "&": "和", "#": "井号", "@": " at ", "-": "杠", "_": "下划线", "%": "百分号", "+": "加"}  # fmt: skip
_WEB = r"(?<![A-Za-z0-9_@])(?:(?:https?|ftp)://|www\.)[\w\-./?=&#%+~:@]{1,500}[\w/=]"
_MAIL = r"(?<![A-Za-z0-9_.])[A-Za-z0-9_.+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,5}(?![\w@]*[A-Za-z0-9])"
_NAMED = any_of(
    "验证码 密码 口令 号码 电话 电话号 手机 手机号 座机 传真 身份证 身份证号 身份证号码 卡号 银行卡 "
    "银行卡号 账号 帐号 账户 编号 订单 订单号 单号 "
    "快递 快递单号 运单号 流水号 工号 学号 考号 准考证号 准考证 QQ QQ号 QQ群 微信 微信号 邮编 "
    "邮政编码 房间号 车牌 车牌号 尾号 后四位 前三位 热线 客服 "
    "航班 航班号 车次 警号 代码 股票代码 证券代码 ID 编码 序列号 激活码 取件码 取餐码 提货码 兑换码 "
    "邀请码 动态码 校验码 会员号 群号 档案号 合同号 批号 文号 "
    "护照 护照号 社保号 税号 机型 型号 会议号 房号 门牌号 牌号 拨打 致电 呼叫 区号 分机 分机号 端口 "
    "邮箱 PIN Tel TEL tel "
    "id uid UID No 工单号 病历号 床位号 密钥 短号 总机 打给 拨"
)
_LINK = r"(?:号码|号|码)?(?:[是为:：]|就是|设为|改为|输入| )*[\"“「]?"
_MEASURED = r"(?!\d|[,.]\d|[个条张部台位元块人次只万亿年月%分天件斤米]|公斤|多)"
_HOTLINE = r"(?:110|119|120|122|114|911|999|12306|12345|12315|12348|12333|12320|12329|12366|12369|12301|12318|10086|10010|10000|95\d{3}|400\d{7}|800\d{7})"
_PLACES = any_of(
    "室 房 房间 包间 包厢 教室 宿舍 医院 国道 省道 县道 高校 工程 院校 大学 中学 小学 信箱 高地 部队 所 次列车 次航班 "
    "病房 厂 宿舍 寝室 会议室 号房 号房间 型 战机 轰炸机 客机 飞机 制 工作制 公交 路公交 路车"
)


def _said(found: re.Match[str]) -> str:
    return found[1] + _code(found[2])


def _code(written: str) -> str:
    return "，".join(telephone(part) for part in re.split(r"[ -]+", written) if part)


def _whole_code(found: re.Match[str]) -> str:
    plus = "加" if found[0].startswith("+") else ""
    return plus + _code(found[0].lstrip("+"))


def _web(found: re.Match[str]) -> str:
    address = re.sub(r"^(https?|ftp|www)", lambda scheme: scheme[0].upper(), found[0])
    spoken = "".join(_WEB_SIGNS.get(sign, sign) for sign in digits(address))
    return " ".join(spoken.split(" "))


def _version(found: re.Match[str]) -> str:
    return "点".join(cardinal(part) if len(part) < 3 else digits(part) for part in found[0].split("."))


def _dotted(found: re.Match[str]) -> str:
    address, _, port = found[0].partition(":")
    return digits(address).replace(".", "点") + (f"端口{digits(port)}" if port else "")


def _mixed(found: re.Match[str]) -> str:
    """Letters and a number beside them: short ones are numbers, `A4`, long ones are digits, `CA1234`."""
    return re.sub(r"\d+", lambda run: _run(run[0]), found[0])


def _run(run: str) -> str:
    return telephone(run) if len(run) > 2 or (len(run) > 1 and run[0] == "0") else cardinal(run)


def _model(found: re.Match[str]) -> str:
    return f"{_mixed(re.match('.*', found[1]))} {digits(found[2])}{found[3]}"  # type: ignore[arg-type]


CODES = rules(
    (EUROPEAN, plain_number, "0 ,"),
    (r"((?:编号|编码|单号|工号|批号)[是为:：]?)N[oO]\. ?(?=\d)", r"\1", "0 单工批编"),
    (r"(?<![A-Za-z0-9.])\.(?=\d)", "0.", "0 ."),
    (r"(?<![A-Za-z0-9-])([A-Za-z]{1,2}\d{1,2})-(\d{3,5})([A-Z]{0,3})(?![A-Za-z0-9-])", _model, "-"),
    (
        r"((?<![A-Za-z])(?:RTX|GTX|RX|GT|MX|Ryzen \d|Radeon|Snapdragon|骁龙|天玑|麒麟|酷睿|锐龙 ?\d?)) ?(\d{3,5})(?![\d.])",
        lambda f: f[1] + (cardinal(f[2]) if f[2].endswith("000") else digits(f[2])),
        "0",
    ),
    (_MAIL, _web, "@ ."),
    (_WEB, _web, ".: :w"),
    (
        r"(?<![\w:])[0-9A-Fa-f]{2}(?:[:-][0-9A-Fa-f]{2}){5}(?![A-Za-z0-9:-])",
        lambda f: "，".join(telephone(part) for part in re.split("[:-]", f[0])),
        "-:",
    ),
    (r"(?<![A-Za-z0-9.])\d{1,3}(?:\.\d{1,3}){3}(?::\d{1,5})?(?![A-Za-z0-9]|\.\d)", _dotted, "0 ."),
    (
        r"(?<![A-Za-z0-9])ISBN(?:-1[03])?[:： ]*((?:\d[- ]?){9,12}[\dXx])(?![A-Za-z0-9])",
        lambda f: "ISBN " + _code(f[1]),
        "0 N",
    ),
    # Telephone numbers.
    (
        r"(?<![A-Za-z0-9+])\+(?=(?:[ -]?\d){9,15}(?!\d))\d{1,3}[ -]?\d{2,11}(?:[ -]?\d{3,8}){0,3}(?![\d.%])",
        _whole_code,
        "+",
    ),
    (r"(?<![A-Za-z0-9.,-])1[3-9]\d{9}(?![A-Za-z0-9]|[,.]\d)(?![元个人吨年])", _whole_code, "0"),
    (r"(?<![A-Za-z0-9.,-])1[3-9]\d([ -])\d{4}\1\d{4}(?![A-Za-z0-9])", _whole_code, "0"),
    (
        r"(?<![A-Za-z0-9.,-])[（(]?(0\d{2,3})[）)]?[ -]?(\d{7,8})(?:[-转](\d{1,5}))?(?![A-Za-z0-9])",
        lambda f: "，".join(telephone(g) for g in f.groups() if g),
        "0",
    ),
    (r"(?<![A-Za-z0-9.,-])[48]00[ -]\d{3,4}[ -]\d{3,4}(?![A-Za-z0-9])", _whole_code, "0"),
    (
        rf"((?:拨打|拨|打|致电|[Cc]all |呼叫|报警|急救|热线|电话|客服|联系)(?:了|过|给|一下|电话)?[:：]?)({_HOTLINE}(?:[、，,/和或]+{_HOTLINE})*)(?!\d|[.,]\d|[多个下遍分秒块元次斤]|公斤|公里)",
        _said,
        "0",
    ),
    (rf"((?:热线|电话)[、，,])({_HOTLINE}(?:[、，,/]{_HOTLINE})*)(?!\d|[.,]\d)", _said, "热电 热话"),
    (
        rf"(?<![A-Za-z0-9.,])()({_HOTLINE})(?=政务|市民|热线|急救|报警|火警|电话|平台|客服|指挥中心|查号|救护车|客户端|官网|订票)",
        _said,
        "0",
    ),
    (
        r"(?<![A-Za-z0-9.,￥¥$€£])(?:12306|12315|10086|10010|95(?:1|5)\d{2})(?![A-Za-z0-9元个人万颗只条件次米块本张位名台辆]|[.,]\d)",
        _whole_code,
        "0",
    ),
    (r"(?<![A-Za-z0-9.])\d{17}[\dXx](?![A-Za-z0-9])", _whole_code, "0"),
    (r"(?<![A-Za-z0-9.])\d{4}([ -])\d{4}\1\d{4}\1\d{3,7}(?:\1\d{1,4})?(?![A-Za-z0-9])", _whole_code, "0"),
    (
        rf"((?:(?<![A-Za-z])|(?=[^A-Za-z])){_NAMED}{_LINK})((?=[A-Za-z-]{{0,4}}\d)[A-Za-z0-9]{{3,}}(?:-[A-Za-z0-9]+)*(?: \d{{2,8}})*|\d{{1,2}}(?:-\d{{1,4}}){{1,3}})(?![A-Za-z0-9]){_MEASURED}",
        _said,
        "-0",
    ),
    (r"(?<![A-UW-Za-uw-z0-9.])\d{1,3}(?:\.\d{1,3}){2}(?![A-Za-z0-9]|\.\d)", _version, "0 ."),
    # Names with a number: 985高校, 211工程, 996, 波音747, CA1234, 705A, 102室.
    (
        r"(?<![A-Za-z0-9.,￥¥$€£])(985|211)(?=[、/]?(?:985|211)|高校|工程|大学|院校|学校|名校|毕业|的?学生)",
        lambda f: telephone(f[1]),
        "0",
    ),
    (r"(?:^|(?<=[哈哦啊，！。]))(6{3,}|23{2,}|886?)(?=[，。！~啊呀吧]|$)", lambda f: digits(f[1]), "0"),
    (
        r"(?<![A-Za-z0-9.,￥¥$€£])(996|007|955)(?=工作|制|加班|的(?:生活|日子|公司|工作))",
        lambda f: digits(f[1]),
        "0 作制加司子活",
    ),
    (
        r"(?<![A-Za-z0-9.,])(315|618|520|1024|1111|1212)(?=晚会|大促|活动|购物节|节|快乐|表白|促销)",
        lambda f: telephone(f[1]),
        "0",
    ),
    (rf"(?<![A-Za-z0-9.,/])(\d{{3,4}})(?={_PLACES})", lambda f: telephone(f[1]), "0"),
    (
        r"([京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼][A-Z])[·. ]?([A-Z0-9]{5,6})(?![A-Za-z0-9])",
        _said,
    ),
    (r"(转)(\d{3,5})(?=分机|号|[，。]|$)", _said, "转"),
    (r"(单元|号楼|楼|层|塔|栋|幢|座)(\d{3,4})(?![\d.米个户人平元多]|号楼)", _said, "0 单塔层幢座栋楼"),
    (r"(波音|空客|标致|道奇|奔驰|宝马)[ -]?(\d{3})(?![\d.])", _said, "0 奇奔宝客波致"),
    (r"(?<![A-Za-z0-9.,])\d{3,}(?=路(?:公交|车|电车|末班|[，。、]|$))", lambda f: telephone(f[0]), "路 0"),
    (
        r"(?<![A-Za-z0-9.,])(?=[A-Za-z]{1,8}-?\d{3,}[A-Za-z]?)[A-Za-z]{1,8}-?(?=\d)\d+[A-Za-z]?(?![A-Za-z0-9]|\.\d|,\d)",
        lambda f: _mixed(f).replace("-", " "),
        "0",
    ),
    (r"(?<![A-Za-z0-9.,])\d{3,}(?=[A-Z](?<![WVLJKMGTB])(?![A-Za-z]))", lambda f: telephone(f[0]), "0"),
    (r"(?<![A-Za-z0-9.,:/-])0\d+(?![A-Za-z0-9]|[.,:/-]\d|[年月日后点时分秒])", _whole_code, "0"),
    (r"(?<![A-Za-z0-9.,])\d{13,}(?![A-Za-z0-9]|[.,]\d)", _whole_code, "0"),
)
