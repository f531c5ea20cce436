"""What invented events are about: sub-categories with their shares, and the words that sources use."""

from collections.abc import Mapping
from dataclasses import dataclass

CATEGORIES = ("dispute", "police_case", "appeal", "hazard", "service", "other")
SHARES = (0.46, 0.23, 0.17, 0.07, 0.05, 0.02)
URGENCIES = ("low", "normal", "high", "urgent")
SOURCES = ("12345", "110", "worker_app", "citizen_page")


@dataclass(frozen=True)
class Topic:
    """A sub-category: its share in its category, chances of each urgency, titles with descriptions."""

    category: str
    code: str
    share: float
    urgency: tuple[float, float, float, float]
    texts: tuple[tuple[str, str], ...]


_CALM = (0.22, 0.66, 0.10, 0.02)
_USUAL = (0.08, 0.70, 0.18, 0.04)
_PRESSING = (0.02, 0.45, 0.38, 0.15)

TOPICS = (
    Topic("dispute", "neighbour", 0.34, _USUAL, (
        ("楼上装修噪声引发口角", "双方因装修时间发生争执，要求调解。"),
        ("楼道堆物引发邻里争执", "楼道公共部位堆放杂物，邻居多次沟通未果。"),
        ("阳台漏水损坏墙面", "楼上渗水致楼下墙面起皮，赔偿未谈拢。"),
        ("宠物扰邻引发纠纷", "夜间犬吠，邻居要求约束。"),
        ("晾晒空间争执", "公共院落晾晒位置之争。"),
    )),
    Topic("dispute", "family", 0.14, _USUAL, (
        ("赡养分担意见不一", "兄弟姐妹就轮流照料未达成一致。"),
        ("家庭财产分配争议", "老屋归属存在分歧，请求主持协商。"),
        ("夫妻争吵请求调解", "家庭琐事引起争吵，情绪已平稳。"),
    )),
    Topic("dispute", "property_management", 0.19, _CALM, (
        ("物业费收缴争执", "业主对服务质量不满，拒交物业费。"),
        ("电梯维修费用分摊争议", "各楼层对分摊比例意见不一。"),
        ("地下车位租金上涨引发不满", "多名业主要求公开收费依据。"),
    )),
    Topic("dispute", "labour", 0.11, _USUAL, (
        ("工资拖欠请求协调", "装修班组反映尾款未结。"),
        ("离职补偿未谈妥", "双方对补偿标准理解不同。"),
        ("临时用工报酬争议", "口头约定与结算金额不符。"),
    )),
    Topic("dispute", "land", 0.10, _CALM, (
        ("宅基地边界争议", "两家围墙位置存在分歧，需现场丈量。"),
        ("田埂通行争执", "机耕路被占，收割机无法通过。"),
        ("引水渠使用纠纷", "上下游用水先后次序未定。"),
    )),
    Topic("dispute", "debt", 0.09, _USUAL, (
        ("借款到期未还", "借条到期，双方约定分期但未履行。"),
        ("货款结算争议", "账目不一致，请求对账调解。"),
    )),
    Topic("dispute", "domestic_violence", 0.03, _PRESSING, (
        ("家庭内部冲突求助", "当事人请求上门了解情况。"),
    )),
    Topic("police_case", "theft", 0.26, _USUAL, (
        ("电动车电瓶被盗", "夜间停放楼下，早晨发现电瓶丢失。"),
        ("店铺零钱被窃", "打烊后收银抽屉被撬。"),
        ("快递包裹丢失", "门口包裹被人取走。"),
    )),
    Topic("police_case", "fraud", 0.20, _PRESSING, (
        ("接到冒充客服电话", "已转账，请求止付。"),
        ("网络刷单受骗", "先返利后无法提现。"),
    )),
    Topic("police_case", "brawl", 0.13, _PRESSING, (
        ("餐馆门口打架", "双方酒后发生肢体冲突。"),
        ("停车争执升级为推搡", "一方轻微擦伤。"),
    )),
    Topic("police_case", "traffic", 0.24, _USUAL, (
        ("路口两车剐蹭", "无人员受伤，占用车道。"),
        ("电动车与行人碰撞", "行人腿部擦伤，已送医。"),
        ("货车侧翻堵路", "需要清障。"),
    )),
    Topic("police_case", "nuisance", 0.14, _USUAL, (
        ("深夜聚众喧哗", "周边居民反映无法休息。"),
        ("酒后滋事", "在店内吵闹不离开。"),
    )),
    Topic("police_case", "minor", 0.02, _PRESSING, (("涉未成年人警情", "按规定办理。"),)),
    Topic("police_case", "sexual", 0.01, _PRESSING, (("涉人身权益警情", "按规定办理。"),)),
    Topic("appeal", "utilities", 0.22, _USUAL, (
        ("供水压力不足", "高楼层早晚无水。"),
        ("供暖不热反复投诉", "室温未达标。"),
        ("停电时间过长", "未见恢复通知。"),
    )),
    Topic("appeal", "noise", 0.24, _CALM, (
        ("夜间施工噪声", "二十二点后仍在施工。"),
        ("广场音响扰民", "音量过大。"),
        ("商铺外放喇叭", "全天循环播放。"),
    )),
    Topic("appeal", "parking", 0.22, _CALM, (
        ("停车占道", "双侧停车致会车困难。"),
        ("充电车位被占", "燃油车长期占用。"),
    )),
    Topic("appeal", "environment", 0.18, _CALM, (
        ("垃圾清运不及时", "垃圾桶满溢。"),
        ("投诉装修扬尘", "未覆盖防尘网。"),
    )),
    Topic("appeal", "street_trading", 0.14, _CALM, (
        ("占道经营影响通行", "流动摊位占用人行道。"),
        ("早市摊位外溢", "道路只剩单车宽度。"),
    )),
    Topic("hazard", "fire", 0.36, _PRESSING, (
        ("消防通道被占用", "车辆堵塞消防通道。"),
        ("楼道充电存在火险", "电动车在楼道充电。"),
    )),
    Topic("hazard", "structure", 0.20, _USUAL, (
        ("高空外墙瓷砖松动", "有坠落风险，已拉警戒线。"),
        ("老屋墙体开裂", "请安排鉴定。"),
    )),
    Topic("hazard", "electric", 0.20, _USUAL, (("电线私拉乱接", "线路裸露。"), ("配电箱门缺失", "位于儿童活动区旁。"))),
    Topic("hazard", "flood", 0.20, _PRESSING, (("雨后路面积水", "积水约二十厘米。"), ("排水沟堵塞", "需要清淤。"))),
    Topic("hazard", "crisis", 0.04, _PRESSING, (("居民情绪低落求助", "请专业人员跟进。"),)),
    Topic("service", "certificate", 0.50, _CALM, (
        ("代办居住证材料", "行动不便，请上门。"),
        ("咨询并代办证明", "材料已备齐。"),
    )),
    Topic("service", "welfare", 0.26, _CALM, (("临时救助申请", "请核实家庭情况。"),)),
    Topic("service", "care", 0.24, _CALM, (("独居老人上门探访", "按月探访。"), ("助残器具申请", "请协助评估。"))),
    Topic("other", "consult", 1.0, _CALM, (("政策咨询", "咨询办理流程。"), ("意见建议", "希望增设座椅。"))),
)  # fmt: skip

# Which source sends a category: 12345, 110, the workers' app, the citizens' page.
SOURCE_SHARES: Mapping[str, tuple[float, float, float, float]] = {
    "dispute": (0.42, 0.14, 0.36, 0.08),
    "police_case": (0.03, 0.92, 0.04, 0.01),
    "appeal": (0.62, 0.0, 0.16, 0.22),
    "hazard": (0.26, 0.03, 0.58, 0.13),
    "service": (0.30, 0.0, 0.52, 0.18),
    "other": (0.55, 0.0, 0.20, 0.25),
}
ACCURACY_M: Mapping[str, tuple[float, float]] = {  # from, to
    "12345": (15.0, 80.0),
    "110": (5.0, 30.0),
    "worker_app": (3.0, 12.0),
    "citizen_page": (10.0, 100.0),
}
