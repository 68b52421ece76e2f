"""Mandarin training texts: everyday sentences from a grammar, dictionary phrases, and every syllable in every tone."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from cosyrt.text.mandarin import hanzi_units
from recipes.builtin_voice.grammar import expand, rules

RULES = rules("""
sentence: {clause}。 / {clause}。 / {clause}。 / {clause}，{clause}。 / {clause}，{link}{clause}。 / {question}？ / {question}？ / {order}。 / {exclaim}！ / {talk}
 / 因为{clause}，所以{clause}。 / 虽然{clause}，但是{clause}。 / 如果{clause}，我们就{verb}。 / {when}，{clause}。 / {fact}。 / {fact}。 / {list}。 / 不但{clause}，而且{clause}。 / {opener}，{clause}。 / 只要{clause}，就{will}。
clause: {human}{time}{verb} / {human}{vt}了{object} / {human}在{place}{verb} / {human}{feel}{verb} / {thing}{degree}{adjective} / {human}{degree}{adjective_h} / {human}正在{vt}{object} / {human}没有{vt}{object}
 / {human}把{noun}{away}了 / {noun}被{human}{away}了 / {human}比{human}{adjective_h} / {place}有{count}{noun} / {human}给{human}{vt}了{count}{noun} / {time}{weather} / {human}{vt}过{object} / {human}从{place}到{place}去{verb}
 / {human}是{person} / {human}不是{person} / {thing}是{adjective}的 / {human}说{human}{will} / {human}觉得{thing}{degree}{adjective} / {human}一边{vt}{object}，一边{vt}{object} / {human}喜欢{vt}{adjective}的{noun} / {human}知道{thing}在{place} / {will} / {human}{vt}得{degree}{adjective_v}
will: {human}要{verb} / {human}想去{place}{verb} / {human}会{vt}{object} / {human}打算{time}{verb} / {human}可以{verb} / {human}应该{vt}{object} / {human}能{verb}
question: {human}{verb}吗 / {human}在{place}做什么 / {human}什么时候{verb} / {human}为什么{verb} / {thing}多少钱 / {thing}在哪里 / 谁{vt}了{object} / {human}是不是{person} / 你{vt}过{object}没有 / {human}怎么去{place} / 现在几点了 / 你叫什么名字 / 哪个{noun}最{adjective} / 我们{time}{verb}好不好 / {human}{adjective_h}吗 / {thing}{adjective}不{adjective} / {human}呢 / 你能不能{vt}{object} / 这是谁的{noun} / {place}有没有{noun} / 你要{noun}还是{noun} / {human}几岁了
order: 请{vt}{object} / 别{vt}{object} / 请你{time}{verb} / 我们一起{verb}吧 / 快{verb}吧 / 不要在{place}{vt}{object} / 把{noun}{away}吧 / 先{vt}{object}，再{verb} / 请给我{count}{noun} / 往前走，然后向左转 / 慢慢说，不要着急
exclaim: {thing}真{adjective}啊 / 太{adjective}了 / 多么{adjective}的{noun}啊 / {human}真{adjective_h} / 小心{noun} / 祝你生日快乐 / 哎呀，{clause} / 好极了 / 哇，{thing}好{adjective}呀
talk: 你好，{name}。 / 谢谢你，{name}。 / 对不起，{clause}。 / 没关系，{clause}。 / 是的，{clause}。 / 不，{clause}。 / 早上好，{person}。 / 喂，请问{name}在吗？ / 好吧，{clause}。 / 再见，{time}见。 / 嗯，{clause}。 / 啊，{clause}！ / 哦，原来{clause}。 / 不客气，{clause}。
fact: {thing}{number}块钱 / 今天是{month}{number_d}号，星期{week} / 我的电话号码是{digit}{digit}{digit}{digit}{digit}{digit}{digit}{digit} / {human}今年{number}岁 / {human}{clock}{verb} / {number}加{number}等于{number} / 一共{number}个{noun} / 他住在{number}号楼{digit}{digit}{digit}房间 / {year}年{clause} / 第{number}个{noun}{degree}{adjective} / 百分之{number}的人{verb} / 从{place}到{place}有{number}公里 / 气温是{number}度 / 这本书有{number}页 / {human}每天{clock}{verb}
list: {human}买了{noun}、{noun}和{noun} / {digit}，{digit}，{digit}，{digit} / {human}、{human}还有{human}都{verb} / {noun}，{noun}，{noun} / 春天、夏天、秋天和冬天 / {place}、{place}、{place} / 东南西北 / {number}，{number}，{number}
link: 可是 / 所以 / 但是 / 然后 / 而且 / 于是 / 不过 / 因为 / 否则 / 结果 / 后来
opener: 其实 / 当然 / 最后 / 首先 / 突然 / 一般来说 / 另外 / 例如 / 总之 / 听说 / 幸好 / 据我所知
when: {time} / {human}{vt}{object}的时候 / {verb}以后 / {verb}之前 / 有一天 / 很久以前 / {clock}
human: 我 / 你 / 他 / 她 / 我们 / 你们 / 他们 / 大家 / {name} / 我的{person} / 那个{person} / 这位{person} / 一个{adjective}的{person} / 您 / 它 / {name}的{person} / 咱们 / 别人
thing: 这个{noun} / 那个{noun} / 这些{noun} / 我的{noun} / {name}的{noun} / {place}的{noun} / {noun} / 那{count}{noun} / {adjective}的{noun}
object: {noun} / {noun} / {count}{noun} / {adjective}的{noun} / {human} / 这个{noun} / 那些{noun} / 一点儿{noun} / 一下{noun}
count: 一个 / 两个 / 三个 / 几个 / 一些 / 许多 / 很多 / 十个 / 一只 / 一条 / 一张 / 两本 / 四件 / 一块 / 五把 / 一双 / 六瓶 / 七杯 / 八辆 / 九棵 / 一群 / 一座 / 半个 / 每个
degree: 很 / 非常 / 太 / 不 / 不太 / 特别 / 有点儿 / 最 / 真 / 更 / 十分 / 比较 / 越来越 / 挺 / 极其 / 都很 / 也很
time: 今天 / 明天 / 昨天 / 后天 / 早上 / 上午 / 中午 / 下午 / 晚上 / 现在 / 刚才 / 马上 / 每天 / 去年 / 明年 / 今年 / 上个月 / 下个星期 / 周末 / 星期{week} / {month} / 经常 / 有时候 / 已经 / 还没 / 从来不 / 夜里 / 半夜 / 春天 / 夏天 / 秋天 / 冬天 / 以前 / 将来 / 最近 / 永远 / 常常
week: 一 / 二 / 三 / 四 / 五 / 六 / 日 / 天
month: 一月 / 二月 / 三月 / 四月 / 五月 / 六月 / 七月 / 八月 / 九月 / 十月 / 十一月 / 十二月
digit: 零 / 一 / 二 / 三 / 四 / 五 / 六 / 七 / 八 / 九
nz: 一 / 二 / 三 / 四 / 五 / 六 / 七 / 八 / 九
number_d: 十 / {nz} / 十{nz} / 二十 / 二十{nz} / 三十 / 三十一
number: {nz} / 十 / 十{nz} / {nz}十{nz} / {nz}十{nz} / {nz}百 / {nz}百零{nz} / {nz}百{nz}十{nz} / 两千{nz}百 / {nz}千{nz}百{nz}十{nz} / {nz}万 / 两百 / {nz}点{digit} / 三亿 / 十{nz}万{nz}千
year: 一九{digit}{digit} / 二零{digit}{digit} / 二零二{digit} / 一八{digit}{digit}
clock: 早上{nz}点 / 下午两点半 / 晚上{nz}点{nz}十分 / 十点一刻 / {nz}点{nz}十{nz}分 / 十二点整 / 差五分{nz}点
name: 小明 / 小红 / 小强 / 小丽 / 小云 / 张伟 / 王芳 / 李娜 / 刘洋 / 陈静 / {surname}先生 / {surname}小姐 / {surname}老师 / {surname}医生 / 老{surname} / 小{surname} / {surname}{given} / {surname}{given} / {surname}{given}{given} / 汤姆 / 玛丽
surname: 王 / 李 / 张 / 刘 / 陈 / 杨 / 赵 / 黄 / 周 / 吴 / 徐 / 孙 / 胡 / 朱 / 高 / 林 / 何 / 郭 / 马 / 罗 / 梁 / 宋 / 郑 / 谢 / 韩 / 唐 / 冯 / 于 / 董 / 萧 / 程 / 曹 / 袁 / 邓 / 许 / 傅 / 沈 / 曾 / 彭 / 吕 / 苏 / 卢 / 蒋 / 蔡 / 贾 / 丁 / 魏 / 薛 / 叶 / 阎 / 余 / 潘 / 杜 / 戴 / 夏 / 钟 / 汪 / 田 / 任 / 姜 / 范 / 方 / 石 / 姚 / 谭 / 廖 / 邹 / 熊 / 金 / 陆 / 郝 / 孔 / 白 / 崔 / 康 / 毛 / 邱 / 秦 / 江 / 史 / 顾 / 侯 / 邵 / 孟 / 龙 / 万 / 段 / 雷 / 钱 / 汤 / 尹 / 黎 / 易 / 常 / 武 / 乔 / 贺 / 赖 / 龚 / 文
given: 伟 / 芳 / 娜 / 秀 / 敏 / 静 / 丽 / 强 / 磊 / 军 / 洋 / 勇 / 艳 / 杰 / 娟 / 涛 / 明 / 超 / 兰 / 霞 / 平 / 刚 / 桂 / 英 / 华 / 玉 / 建 / 文 / 辉 / 宇 / 浩 / 欣 / 雨 / 佳 / 琪 / 梅 / 春 / 雪 / 琴 / 云 / 波 / 宁 / 鹏 / 飞 / 凤 / 龙 / 林 / 生 / 俊 / 峰
person: 老师 / 学生 / 医生 / 朋友 / 妈妈 / 爸爸 / 哥哥 / 姐姐 / 弟弟 / 妹妹 / 爷爷 / 奶奶 / 孩子 / 女儿 / 儿子 / 先生 / 太太 / 小姐 / 司机 / 警察 / 工人 / 农民 / 邻居 / 同学 / 同事 / 经理 / 律师 / 作家 / 画家 / 歌手 / 演员 / 护士 / 客人 / 老板 / 服务员 / 科学家 / 皇帝 / 英雄 / 军人 / 厨师 / 外国人 / 中国人 / 女孩 / 男孩 / 阿姨 / 叔叔 / 舅舅 / 姑姑 / 记者 / 校长
place: 学校 / 家里 / 公园 / 医院 / 商店 / 超市 / 车站 / 机场 / 图书馆 / 教室 / 办公室 / 饭店 / 厨房 / 房间 / 花园 / 北京 / 上海 / 广州 / 南京 / 中国 / 美国 / 英国 / 法国 / 日本 / 城市 / 农村 / 海边 / 山上 / 河边 / 桥下 / 街上 / 门口 / 桌子上 / 床下 / 树林里 / 银行 / 邮局 / 博物馆 / 电影院 / 宾馆 / 工厂 / 公司 / 外面 / 楼上 / 隔壁 / 附近 / 那里 / 这儿 / 西安 / 四川 / 湖南 / 杭州 / 香港 / 欧洲 / 窗户旁边 / 重庆 / 云南 / 新疆 / 琼州 / 月球
noun: 书 / 苹果 / 水 / 茶 / 咖啡 / 牛奶 / 米饭 / 面条 / 饺子 / 包子 / 鸡蛋 / 鱼 / 肉 / 菜 / 水果 / 西瓜 / 香蕉 / 葡萄 / 桌子 / 椅子 / 床 / 灯 / 门 / 窗户 / 衣服 / 裤子 / 鞋 / 帽子 / 眼镜 / 手表 / 手机 / 电脑 / 电视 / 电影 / 音乐 / 歌 / 画 / 照片 / 信 / 报纸 / 杂志 / 词典 / 铅笔 / 钢笔 / 纸 / 地图 / 票 / 钱 / 礼物 / 花 / 草 / 树 / 叶子 / 山 / 河 / 湖 / 海 / 天空 / 太阳 / 月亮 / 星星 / 云 / 雨 / 雪 / 风 / 狗 / 猫 / 鸟 / 马 / 牛 / 羊 / 猪 / 鸡 / 鸭子 / 老虎 / 狮子 / 熊 / 猴子 / 兔子 / 蛇 / 蝴蝶 / 蜜蜂 / 汽车 / 火车 / 飞机 / 船 / 自行车 / 公共汽车 / 地铁 / 路 / 桥 / 房子 / 楼 / 钥匙 / 锁 / 刀 / 筷子 / 碗 / 盘子 / 杯子 / 瓶子 / 箱子 / 包 / 雨伞 / 毛巾 / 肥皂 / 药 / 病 / 头发 / 眼睛 / 耳朵 / 鼻子 / 嘴 / 手 / 脚 / 腿 / 心 / 声音 / 颜色 / 味道 / 问题 / 答案 / 办法 / 消息 / 故事 / 节目 / 比赛 / 游戏 / 工作 / 作业 / 考试 / 课 / 语言 / 汉字 / 句子 / 名字 / 号码 / 时间 / 机会 / 经验 / 计划 / 梦想 / 理由 / 错误 / 习惯 / 文化 / 历史 / 经济 / 科学 / 技术 / 环境 / 空气 / 世界 / 国家 / 社会 / 生活 / 爱情 / 友谊 / 和平 / 战争 / 法律 / 权利 / 责任 / 蛋糕 / 糖 / 盐 / 酱油 / 醋 / 豆腐 / 蔬菜 / 土豆 / 西红柿 / 黄瓜 / 辣椒 / 蘑菇 / 玉米 / 花生 / 啤酒 / 果汁 / 冰箱 / 洗衣机 / 空调 / 沙发 / 镜子 / 被子 / 枕头 / 梳子 / 牙刷 / 裙子 / 衬衫 / 袜子 / 手套 / 围巾 / 珠宝 / 项链 / 球 / 球拍 / 钢琴 / 吉他 / 鼓 / 笛子 / 功夫 / 京剧 / 春节 / 月饼 / 粽子 / 灯笼 / 龙 / 凤凰 / 熊猫 / 竹子 / 梅花 / 荷花 / 菊花 / 兰花 / 泉水 / 军队 / 裙摆 / 略图 / 女生宿舍 / 旅行 / 绿叶 / 疟疾 / 嫩芽 / 翁婿
vt: 看 / 看见 / 听 / 听见 / 说 / 读 / 写 / 画 / 吃 / 喝 / 买 / 卖 / 做 / 用 / 拿 / 放 / 给 / 送 / 借 / 还 / 找 / 找到 / 丢 / 带 / 穿 / 戴 / 洗 / 打扫 / 打开 / 关上 / 学习 / 教 / 认识 / 知道 / 记得 / 忘记 / 喜欢 / 爱 / 恨 / 怕 / 帮助 / 问 / 回答 / 告诉 / 介绍 / 讨论 / 研究 / 解决 / 检查 / 准备 / 参观 / 参加 / 欢迎 / 等 / 见 / 遇到 / 了解 / 需要 / 希望得到 / 相信 / 怀疑 / 发现 / 发明 / 修理 / 改变 / 保护 / 破坏 / 选择 / 决定 / 提高 / 影响 / 代表 / 表示 / 收到 / 寄 / 拍 / 唱 / 跳 / 玩 / 骑 / 开 / 坐 / 推 / 拉 / 抱 / 背 / 扔 / 捡 / 切 / 煮 / 炒 / 尝 / 闻 / 摸 / 数 / 算 / 想 / 想念 / 谈论 / 批评 / 表扬 / 照顾 / 羡慕 / 嘲笑 / 偷 / 抢 / 躲开 / 追 / 抓 / 拆 / 折 / 搬 / 挂 / 种 / 养 / 砍 / 擦 / 贴 / 撕 / 剪 / 缝 / 捆 / 揉 / 舔 / 咬 / 嚼 / 吞 / 吐 / 踢 / 踩 / 扭 / 耍
verb: 睡觉 / 起床 / 吃饭 / 上班 / 下班 / 上课 / 回家 / 出去 / 进来 / 跑步 / 游泳 / 唱歌 / 跳舞 / 旅行 / 旅游 / 散步 / 聊天 / 看书 / 看电影 / 听音乐 / 打电话 / 打篮球 / 踢足球 / 做饭 / 洗衣服 / 洗澡 / 买东西 / 工作 / 休息 / 学习 / 考试 / 结婚 / 毕业 / 生病 / 开车 / 坐飞机 / 坐火车 / 喝茶 / 喝酒 / 打球 / 说话 / 笑 / 哭 / 走 / 来 / 坐下 / 站起来 / 离开 / 迟到 / 回来 / 帮忙 / 开会 / 爬山 / 滑冰 / 钓鱼 / 画画儿 / 写字 / 说汉语 / 学英语 / 包饺子 / 过年 / 搬家 / 吵架 / 睡着 / 做梦 / 拍照 / 上网 / 玩游戏 / 打扫卫生 / 照镜子 / 晒太阳 / 逛街 / 骑自行车 / 去{place} / 参加比赛
feel: 喜欢 / 想 / 要 / 不想 / 不能 / 可以 / 必须 / 开始 / 继续 / 愿意 / 经常 / 忽然 / 总是 / 也许 / 一定 / 不得不 / 打算 / 一直 / 正在 / 刚刚 / 从来不 / 只好 / 可能 / 大概 / 果然 / 居然 / 终于 / 仍然 / 偶尔
away: 拿走 / 吃掉 / 打破 / 弄坏 / 卖掉 / 送给朋友 / 放在桌子上 / 洗干净 / 修好 / 写完 / 带回家 / 藏起来 / 偷走 / 关上 / 忘了 / 扔出去 / 搬到外面
adjective: 大 / 小 / 多 / 少 / 长 / 短 / 高 / 低 / 新 / 旧 / 好 / 坏 / 快 / 慢 / 远 / 近 / 早 / 晚 / 热 / 冷 / 暖和 / 凉快 / 干净 / 脏 / 漂亮 / 美丽 / 难看 / 便宜 / 贵 / 容易 / 难 / 简单 / 复杂 / 重要 / 有意思 / 奇怪 / 安全 / 危险 / 舒服 / 方便 / 安静 / 吵 / 红 / 黄 / 蓝 / 绿 / 白 / 黑 / 紫 / 灰 / 甜 / 酸 / 苦 / 辣 / 咸 / 香 / 臭 / 软 / 硬 / 轻 / 重 / 厚 / 薄 / 宽 / 窄 / 深 / 浅 / 亮 / 暗 / 圆 / 方 / 湿 / 干 / 满 / 空 / 破 / 旺 / 特殊 / 普通 / 著名 / 古老 / 现代 / 优秀 / 完美 / 丰富 / 可爱 / 可怕 / 合适 / 清楚 / 模糊 / 光滑 / 粗 / 细 / 嫩 / 脆 / 均匀
adjective_h: 高兴 / 快乐 / 难过 / 生气 / 累 / 忙 / 饿 / 渴 / 聪明 / 笨 / 努力 / 认真 / 懒 / 勇敢 / 害怕 / 紧张 / 健康 / 年轻 / 老 / 胖 / 瘦 / 高 / 矮 / 帅 / 漂亮 / 善良 / 热情 / 骄傲 / 谦虚 / 孤独 / 幸福 / 有钱 / 穷 / 困 / 着急 / 奇怪 / 礼貌 / 耐心 / 粗心 / 满意 / 伤心 / 激动 / 惊讶 / 后悔 / 诚实 / 温柔 / 厉害
adjective_v: 好 / 快 / 慢 / 多 / 早 / 清楚 / 认真 / 漂亮 / 流利 / 高兴 / 晚 / 不错 / 仔细
weather: 天气{degree}{adjective} / 下雨了 / 下雪了 / 刮风了 / 很冷 / 是晴天 / 有雾 / 多云转晴 / 打雷了 / 出太阳了
spoken: {answer} / {answer} / {narration} / {narration} / {dialogue} / {notice} / {mixed}
answer: 好的，我来帮您。{step} / 当然可以。首先{order}，然后{order}，最后等{nz}分钟就好了。 / 这个问题很好。{reason} / 对不起，我没有找到{thing}。要不要我再看看{place}？ / 我查到了：{thing}{number}块钱，{degree}{adjective}。 / 现在是{clock}，您还有{number}分钟。 / 您的下一个会议在{time}，内容是{noun}和{noun}。 / 已经把{noun}和{noun}加到清单里了。
 / {time}{place}{weather}，气温{number}度，出门记得带{noun}。 / 据我所知，{clause}，不过我不太确定。 / 可以的，您只要{vt}一下{noun}，再等{nz}分钟。 / 不完全对：{thing}是{year}年{vt}的，不是{time}。 / 建议您先{verb}，再去{place}。 / 总的来说，{reason} / 已经设好了{number}分钟的闹钟。 / 您有{number}条新消息，第一条是{name}发来的：{time}见。 / 做{noun}其实很简单：先切{noun}，放一点儿盐，再煮{nz}分钟。 / 如果还是不行，请再{vt}一次{noun}，或者问问您的{person}。 / {noun}用英语怎么说？让我想一想。
step: 请打开{noun}，选择{thing}，再按一下{adjective}的按钮。 / 请翻到第{number}页，看第{nz}行。 / 先拿{number}个{noun}，放在{place}。 / 把{noun}放在{place}，{clock}以前不要动它。
reason: {thing}{adjective}，是因为{thing}{degree}{adjective}。 / 大家都喜欢{noun}，因为{verb}的时候会用到它。 / 天气{adjective}的时候，{noun}就会变得{adjective}，所以{clause}。 / 这要看{noun}：有的{adjective}，有的不{adjective}。
narration: 那是一个{adjective}的早上，{thing}静静地放在{place}。 / {person}慢慢地抬起头来，好像听见了{thing}的声音。 / 很长时间谁也没有说话，只听得见{place}有{noun}的声音。 / {name}在{place}住了{number}年，那些年里，{clause}。 / 他们一句话也不说，走过{thing}，走过{thing}，一直走到{place}。 / 从前，有一个{adjective_h}的{person}，每天都要{vt}{noun}。
 / 她把{noun}拿在手里，看了又看，心里想：到底是谁{vt}的呢？ / 门终于开了，出来一个{adjective_h}的{person}，手里拿着{count}{noun}。 / 后来的事情就很难说清楚了：{clause}，接着，{clause}。 / {place}到处都是{noun}，闻起来有{noun}和{noun}的味道。 / 等到{name}回来的时候，{noun}早就不见了。 / 远远的，在{place}的那一边，有{count}{noun}在月光下慢慢移动。
dialogue: “{question}？”{name}问。“{clause}。”{person}回答说。 / {name}笑着说：“我也不知道，不过我觉得{clause}。” / “快过来，”她小声说，“{clause}。” / “{exclaim}！”{person}叫了起来，“{question}？” / {person}想了一会儿，说：“好吧，{will}。” / “你真的要去{place}吗？”“是的，我{time}就去。”
notice: 各位旅客请注意，开往{place}的列车{clock}从{nz}站台发车。 / 请保管好您的{noun}，不要把{noun}放在{place}。 / 您好，这里是{place}广播电台，现在是{clock}，为您播报新闻。 / 据报道，{place}{time}发现了{number}个{noun}。 / 价格上涨了百分之{number}，{noun}也变得{adjective}了。 / 感谢您的来电，{vt}{noun}请按{nz}。 / {place}星期{week}休息，星期{week}{clock}开门。 / 科学家在{place}{vt}了一种{adjective}的{noun}，它也许会改变我们的生活。
mixed: 请把{noun}发到我的email里。 / 你会用{tech}吗？ / 这个{tech}的价格是{number}元。 / {name}在{firm}工作，每天用{tech}。 / 我们的team{time}要开一个meeting。 / 他说OK，没问题。 / 今天的party在{place}，记得带{noun}。 / 我想学Python和Java。 / {tech}没有电了，{question}？ / 这首歌的名字叫Hello。 / 请打开Google，查一下{noun}。 / {name}的英文名字叫{english}。 / 周末我们去{city}，住三天hotel。
tech: computer / laptop / phone / camera / internet / Bluetooth / Windows / Linux / video / battery
firm: Google / Microsoft / Apple / Amazon / Intel / Sony
english: Tom / Lucy / David / Alice / Kevin / Emma / Peter / Linda
city: London / Paris / New York / Tokyo / Boston / Berlin
phrase: 你好 / 谢谢 / 再见 / 对不起 / 没关系 / 不客气 / 早上好 / 晚安 / 请进 / 请坐 / 是 / 不是 / 好 / 好的 / 行 / 对 / 没有 / 知道了 / 加油 / 当心 / 恭喜发财 / 新年快乐 / {noun} / {person} / {place} / {name} / {number} / {time} / {verb} / {adjective} / {vt}{noun} / {clock} / 嗯 / 哦 / 喂 / 啊
""")


@dataclass(frozen=True, slots=True)
class Phrases:
    """Words of pypinyin's dictionaries: all phrases, the characters of each toned syllable and of each toned final."""

    phrases: Sequence[str]
    characters: Sequence[Sequence[str]]
    by_final: Sequence[Sequence[str]]


def load_phrases(longest_characters: int = 6) -> Phrases:
    """Everything pypinyin can read as ordinary syllables (43 thousand phrases, some 1 300 toned syllables)."""
    from pypinyin.constants import PHRASES_DICT, PINYIN_DICT

    readings: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for code in sorted(PINYIN_DICT):
        if 0x4E00 <= code <= 0x9FA5 or code == 0x3007:
            readings[tuple(hanzi_units(chr(code)))].append(chr(code))
    readings.pop((), None)
    finals: dict[str, list[str]] = defaultdict(list)
    for units in sorted(readings):
        finals[units[-1]] += readings[units]
    phrases = [
        p for p in sorted(PHRASES_DICT) if len(p) <= longest_characters and p.isalpha() and p.isprintable()
    ]
    return Phrases(phrases, [readings[units] for units in sorted(readings)], list(finals.values()))


def sentence(choose: random.Random, words: Phrases, position: int) -> str:
    """One training text; consecutive positions walk through all syllables and phrases, so that all are said."""
    kind = choose.random()
    if kind < 0.04:
        return _syllable(choose, words, position) + "。"
    if kind < 0.10:
        return expand(RULES, "phrase", choose) + choose.choice("。。？！")
    if kind < 0.22:
        return _syllables(choose, words, position)
    if kind < 0.36:
        return _phrases(choose, words, position)
    if kind < 0.56:
        return expand(RULES, "spoken", choose)
    if kind < 0.64:
        return "".join(expand(RULES, "sentence", choose) for _ in range(choose.choice((2, 2, 3))))
    return expand(RULES, "sentence", choose)


def _syllable(choose: random.Random, words: Phrases, position: int) -> str:
    """One time in three the next of all syllables in turn, else any final: some are in one syllable only."""
    if choose.random() < 0.67:
        return choose.choice(choose.choice(words.by_final))
    return choose.choice(words.characters[position * 499 % len(words.characters)])


def _syllables(choose: random.Random, words: Phrases, position: int) -> str:
    """Unrelated syllables, the rare ones as often as the common ones."""
    count = choose.randint(2, 12)
    text = "".join(_syllable(choose, words, position * 13 + index) for index in range(count))
    if count > 6 and choose.random() < 0.5:
        middle = choose.randint(2, count - 2)
        text = f"{text[:middle]}，{text[middle:]}"
    return text + choose.choice("。。。？！")


def _phrases(choose: random.Random, words: Phrases, position: int) -> str:
    first = words.phrases[position * 7919 % len(words.phrases)]
    others = choose.choices(words.phrases, k=choose.randint(0, 4))
    joint = choose.choice(("，", "", "的", "和", "是", "在", "，", "不", "了，"))
    return joint.join([first, *others]) + choose.choice("。。。？！")
