/** The forms an organisation may have, longest first where one ends another; what it is called without it is the same. */
export const legalForms: readonly [written: string, form: string][] = [
  ['集团股份有限公司', 'stock'], ['股份有限公司', 'stock'], ['股份公司', 'stock'],
  ['集团有限责任公司', 'limited'], ['集团有限公司', 'limited'], ['有限责任公司', 'limited'], ['有限公司', 'limited'],
  ['控股集团公司', 'company'], ['集团总公司', 'company'], ['集团公司', 'company'], ['总公司', 'company'], ['公司', 'company'], ['集团', 'company'],
  ['有限合伙企业', 'partnership'], ['普通合伙企业', 'partnership'], ['合伙企业', 'partnership'], ['个人独资企业', 'sole'], ['有限合伙', 'partnership'], ['普通合伙', 'partnership'], ['特殊普通合伙', 'partnership'],
  ['农民专业合作社', 'cooperative'], ['专业合作社', 'cooperative'], ['合作社', 'cooperative'], ['联合社', 'cooperative'],
  ['个体工商户', 'shop'], ['工作室', 'studio'], ['事务所', 'practice'], ['服务部', 'shop'], ['经营部', 'shop'], ['商行', 'shop'], ['商店', 'shop'], ['总店', 'shop'], ['分厂', 'factory'], ['总厂', 'factory'], ['工厂', 'factory'], ['厂', 'factory'], ['店', 'shop'],
]

/** How Western forms end a name. */
export const westernForms: Record<string, string> = {
  ltd: 'limited', limited: 'limited', llc: 'limited', gmbh: 'limited', sarl: 'limited', srl: 'limited', bv: 'limited', pty: 'limited', kft: 'limited', pvt: 'limited',
  inc: 'stock', incorporated: 'stock', corp: 'stock', corporation: 'stock', plc: 'stock', ag: 'stock', sa: 'stock', spa: 'stock', nv: 'stock', ab: 'stock', as: 'stock', oyj: 'stock',
  lp: 'partnership', llp: 'partnership', kg: 'partnership', co: 'company', company: 'company', cie: 'company', group: 'company', holding: 'company', holdings: 'company',
}

/** What a part of an organisation is called. */
export const branchKinds = ['分公司', '子公司', '支公司', '分行', '支行', '营业部', '营业厅', '营业所', '分理处', '储蓄所', '分店', '分校', '分院', '分所', '分部', '分局', '分社', '分会', '办事处', '代表处', '联络处', '项目部', '事业部', '销售部', '门市部', '门店', '旗舰店', '专卖店', '专营店', '直营店', '加盟店', '体验店', '网点', '分厂', '仓库'] as const
export const westernBranches = new Set(['branch', 'subbranch', 'outlet', 'office'])

/** Lines of trade, as they stand between the name proper and the form: they tell companies of one name apart, and are often left out. */
export const trades: readonly string[] = `
科技发展 科技 网络科技 信息技术 信息科技 电子科技 电子商务 生物科技 新能源科技 环保科技 智能科技 软件 软件开发 信息 信息咨询 网络 技术 技术开发 技术服务 高新技术 电子 通信 通讯 通信技术 互联网 大数据 人工智能 智能 数码 系统集成 自动化 自动化设备 光电 光电科技 半导体 微电子 仪器 仪器仪表
贸易 商贸 国际贸易 进出口 进出口贸易 对外贸易 经贸 工贸 物资 物资贸易 商业 商业管理 百货 超市 批发 零售 供应链 供应链管理 电商
餐饮 餐饮管理 餐饮服务 食品 食品加工 饮食 饮料 酒业 酒店 酒店管理 宾馆 茶业 茶叶 粮油 粮食 调味品 乳业 水产 肉类 烘焙 饭店 餐厅 火锅 快餐
实业 实业发展 投资 投资管理 投资咨询 投资发展 资产管理 资本管理 股权投资 创业投资 基金管理 金融 金融服务 融资租赁 融资担保 担保 小额贷款 典当 保险 保险代理 保险经纪 证券 期货 财务 财务咨询 财务管理 会计 税务 审计 控股 发展 开发
咨询 管理咨询 企业管理 企业管理咨询 企业咨询 商务咨询 商务 商务服务 服务 管理 管理服务 人力资源 劳务 劳务派遣 知识产权 专利代理 商标代理 法律咨询 律师 翻译 教育咨询
文化 文化传播 文化传媒 文化发展 文化艺术 传媒 广告 广告传媒 影视 影视传媒 影业 出版 印刷 包装 包装材料 设计 装饰设计 建筑设计 创意 艺术 动漫 游戏 会展 展览 展览服务 礼品 摄影 婚庆 体育 体育文化 健身 娱乐 旅游 旅行社 国际旅行社 旅游开发
教育 教育科技 培训 培训学校 学校 幼儿园 教育培训
建筑 建筑工程 建设 建设工程 工程 工程建设 工程技术 工程咨询 建材 建筑材料 装饰 装饰工程 装修 装潢 家居 家具 家居用品 门窗 园林 园林绿化 景观 市政工程 钢结构 水利 地产 房地产 房地产开发 房地产经纪 置业 物业 物业管理 物业服务 消防工程 安防 安装工程 幕墙 涂料 陶瓷 石材 木业 照明 照明电器 灯饰
机械 机械设备 机械制造 机电 机电设备 设备 机床 制造 模具 五金 五金制品 五金机电 金属 金属制品 金属材料 钢铁 钢材 铝业 铜业 不锈钢 电器 电气 电气设备 电缆 电力 电力设备 电力工程 工业 阀门 轴承 标准件 汽车 汽车配件 汽车销售 汽车服务 汽车租赁 汽车维修 摩托车 电动车 船舶 航空 航空服务
化工 化工科技 化学 塑料 塑胶 塑料制品 橡胶 橡塑 新材料 材料 材料科技 化妆品 日化 日用品 纸业 纸制品 玻璃 能源 新能源 石油 石化 燃气 煤炭 矿业 光伏 环保 环境 环境工程 节能 再生资源
医药 药业 制药 医疗 医疗器械 医疗科技 医疗管理 生物 生物技术 生物医药 健康 健康管理 健康科技 大药房 药房 医院 诊所 口腔 养老服务 美容 美容美发 美业 养生 保健品 护理
物流 国际物流 货运 货运代理 国际货运代理 运输 道路运输 快递 快运 速递 仓储 仓储物流 搬家 出租车 客运 租赁 设备租赁 港务 航运
农业 农业科技 农业发展 农业开发 生态农业 种植 养殖 畜牧 种业 种子 饲料 农资 农产品 花卉 苗木 林业 果业 蔬菜 渔业 农机 兽药
服装 服饰 服装服饰 纺织 纺织品 针织 制衣 鞋业 皮革 皮具 箱包 布艺 家纺 羽绒 珠宝 珠宝首饰 首饰 钟表 眼镜 玩具 文具 办公用品 办公设备 体育用品 母婴用品 宠物用品 工艺品 礼仪 家电 家用电器 家政 家政服务 保洁 保洁服务 保安 保安服务 清洁服务 拍卖 生态 生态科技 国际 产业 数字科技 数据 电信 导航 检测 检测技术 认证 测绘 勘察 气体 热力 水务 自来水 卫浴 洁具 厨具 净水 空调 制冷 制冷设备 电梯 电子产品 电池 电源 元器件 线路板 连接器 传感器 无人机 机器人
`.trim().split(/\s+/).toSorted((one, other) => other.length - one.length || (one < other ? -1 : 1))
