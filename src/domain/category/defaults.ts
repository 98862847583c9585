import type { z } from 'zod'
import type { Labels } from '../values.ts'
import type { Field, FieldOption, Template } from './template.ts'

// The categories a new organisation starts with: data only. From then on administrators change them by commands.
// requiredFrom names a stage of the default stage policy. Personal is everything by which a person could be known,
// reached or described, and every free text, since anyone may write anything there. What is personal is not listed.

export type DefaultCategory = {
  categoryId: string
  parentId: string | null
  labels: z.infer<typeof Labels>
  criterion: z.infer<typeof Labels>
  kind: 'individual' | 'organisation'
  template: Template
}

const importance: FieldOption[] = [
  { value: 'A', labels: { en: 'A: key', zh: 'A 重点' } },
  { value: 'B', labels: { en: 'B: regular', zh: 'B 一般' } },
  { value: 'C', labels: { en: 'C: occasional', zh: 'C 次要' } },
]

const creditGrade: FieldOption[] = [
  { value: 'A', labels: { en: 'A: good', zh: 'A 良好' } },
  { value: 'B', labels: { en: 'B: fair', zh: 'B 一般' } },
  { value: 'C', labels: { en: 'C: poor', zh: 'C 较差' } },
]

const source: FieldOption[] = [
  { value: 'inbound-call', labels: { en: 'Inbound call', zh: '来电' } },
  { value: 'outbound-call', labels: { en: 'Outbound call', zh: '去电' } },
  { value: 'referral', labels: { en: 'Referral', zh: '转介绍' } },
  { value: 'web-enquiry', labels: { en: 'Web enquiry', zh: '网上咨询' } },
  { value: 'advertisement', labels: { en: 'Advertisement', zh: '广告' } },
]

const salesModel: FieldOption[] = [
  { value: 'wholesale', labels: { en: 'Wholesale', zh: '批发' } },
  { value: 'chain-retail', labels: { en: 'Chain retail', zh: '连锁零售' } },
  { value: 'project', labels: { en: 'Project', zh: '工程项目' } },
]

const sex: FieldOption[] = [
  { value: 'male', labels: { en: 'Male', zh: '男' } },
  { value: 'female', labels: { en: 'Female', zh: '女' } },
]

const role: FieldOption[] = [
  { value: 'decision-maker', labels: { en: 'Decision-maker', zh: '决策者' } },
  { value: 'insider', labels: { en: 'Insider', zh: '内线' } },
  { value: 'influencer', labels: { en: 'Influencer', zh: '影响者' } },
  { value: 'opponent', labels: { en: 'Opponent', zh: '反对者' } },
]

const organisationFields: Field[] = [
  { key: 'homePage', labels: { en: 'Home page', zh: '公司主页' }, type: 'url', requiredFrom: null, listed: false, personal: true },
  { key: 'email', labels: { en: 'Email', zh: '电子邮箱' }, type: 'email', requiredFrom: null, listed: false, personal: true, matchAs: 'email' },
  { key: 'industry', labels: { en: 'Industry', zh: '所属行业' }, type: 'text', requiredFrom: null, listed: true, personal: false },
  { key: 'address', labels: { en: 'Address', zh: '地址' }, type: 'text', requiredFrom: 'active', listed: false, personal: true, matchAs: 'address' },
  { key: 'companyPhone', labels: { en: 'Company phone', zh: '公司电话' }, type: 'phone', requiredFrom: 'active', listed: false, personal: true, matchAs: 'phone' },
  { key: 'importance', labels: { en: 'Importance', zh: '重要程度' }, type: 'one-of', options: importance, requiredFrom: 'active', listed: true, personal: false },
  { key: 'source', labels: { en: 'Source', zh: '客户来源' }, type: 'one-of', options: source, requiredFrom: 'active', listed: true, personal: false },
  { key: 'registeredCapital', labels: { en: 'Registered capital', zh: '注册资本' }, type: 'money', requiredFrom: null, listed: false, personal: false },
  { key: 'description', labels: { en: 'Description', zh: '公司简介' }, type: 'text', requiredFrom: null, listed: false, personal: true },
  { key: 'cooperationStart', labels: { en: 'Cooperation since', zh: '合作开始日期' }, type: 'date', requiredFrom: null, listed: false, personal: false },
  { key: 'mainProducts', labels: { en: 'Main products', zh: '主营产品' }, type: 'text', requiredFrom: null, listed: false, personal: true },
  { key: 'creditGrade', labels: { en: 'Credit grade', zh: '信用等级' }, type: 'one-of', options: creditGrade, requiredFrom: null, listed: true, personal: false },
]

const enterpriseFields: Field[] = [
  { key: 'numberOfShops', labels: { en: 'Number of shops', zh: '门店数量' }, type: 'number', requiredFrom: null, listed: false, personal: false },
  { key: 'salesModel', labels: { en: 'Sales model', zh: '销售模式' }, type: 'some-of', options: salesModel, requiredFrom: null, listed: false, personal: false },
  { key: 'numberOfComputers', labels: { en: 'Number of computers', zh: '电脑数量' }, type: 'number', requiredFrom: 'active', listed: false, personal: false },
]

const individualFields: Field[] = [
  { key: 'sex', labels: { en: 'Sex', zh: '性别' }, type: 'one-of', options: sex, requiredFrom: null, listed: false, personal: true },
  { key: 'birthday', labels: { en: 'Birthday', zh: '生日' }, type: 'date', requiredFrom: null, listed: false, personal: true, matchAs: 'birth-date' },
  { key: 'address', labels: { en: 'Address', zh: '地址' }, type: 'text', requiredFrom: 'active', listed: false, personal: true, matchAs: 'address' },
  { key: 'importance', labels: { en: 'Importance', zh: '重要程度' }, type: 'one-of', options: importance, requiredFrom: 'active', listed: true, personal: false },
  { key: 'source', labels: { en: 'Source', zh: '客户来源' }, type: 'one-of', options: source, requiredFrom: 'active', listed: true, personal: false },
  { key: 'occupation', labels: { en: 'Occupation', zh: '职业' }, type: 'text', requiredFrom: null, listed: false, personal: true },
  { key: 'nativePlace', labels: { en: 'Native place', zh: '籍贯' }, type: 'text', requiredFrom: null, listed: false, personal: true },
  { key: 'hobbies', labels: { en: 'Hobbies', zh: '爱好' }, type: 'text', requiredFrom: null, listed: false, personal: true },
  { key: 'notes', labels: { en: 'Notes', zh: '备注' }, type: 'text', requiredFrom: null, listed: false, personal: true },
]

const contactFields: Field[] = [
  { key: 'sex', labels: { en: 'Sex', zh: '性别' }, type: 'one-of', options: sex, requiredFrom: null, listed: false, personal: true },
  { key: 'title', labels: { en: 'Title', zh: '职务' }, type: 'text', requiredFrom: 'active', listed: false, personal: true },
  { key: 'role', labels: { en: 'Role', zh: '联系人角色' }, type: 'one-of', options: role, requiredFrom: 'active', listed: true, personal: false },
  { key: 'birthday', labels: { en: 'Birthday', zh: '生日' }, type: 'date', requiredFrom: null, listed: false, personal: true },
  { key: 'officePhone', labels: { en: 'Office phone', zh: '办公电话' }, type: 'phone', requiredFrom: null, listed: false, personal: true },
  { key: 'mobile', labels: { en: 'Mobile', zh: '手机' }, type: 'phone', requiredFrom: 'active', listed: false, personal: true },
  { key: 'email', labels: { en: 'Email', zh: '电子邮箱' }, type: 'email', requiredFrom: 'active', listed: false, personal: true },
  { key: 'messagingIds', labels: { en: 'Messaging IDs', zh: '即时通讯账号' }, type: 'text', requiredFrom: null, listed: false, personal: true },
  { key: 'address', labels: { en: 'Address', zh: '联系地址' }, type: 'text', requiredFrom: null, listed: false, personal: true },
  { key: 'nativePlace', labels: { en: 'Native place', zh: '籍贯' }, type: 'text', requiredFrom: null, listed: false, personal: true },
  { key: 'blog', labels: { en: 'Blog', zh: '博客' }, type: 'url', requiredFrom: null, listed: false, personal: true },
  { key: 'hobbies', labels: { en: 'Hobbies', zh: '爱好' }, type: 'text', requiredFrom: null, listed: false, personal: true },
  { key: 'documentNumber', labels: { en: 'Document number', zh: '证件号码' }, type: 'text', requiredFrom: null, listed: false, personal: true },
  { key: 'notes', labels: { en: 'Notes', zh: '备注' }, type: 'text', requiredFrom: null, listed: false, personal: true },
]

const individual: Template = { fields: individualFields, contactFields }
const organisation: Template = { fields: organisationFields, contactFields }
const enterprise: Template = { fields: [...organisationFields, ...enterpriseFields], contactFields }
// A child has its parent's fields already; this one adds none.
const nothingMore: Template = { fields: [], contactFields: [] }

// The criteria ask in turn: a person? then who mainly pays whom? then agreement, then rivalry. One answer fits.
export const defaultCategories: DefaultCategory[] = [
  {
    categoryId: 'individual-retail', parentId: null, kind: 'individual', labels: { en: 'Individual retail', zh: '个人零售' }, template: individual,
    criterion: {
      en: 'A natural person who buys, or may buy, for personal or household use.',
      zh: '为个人或家庭使用而购买或可能购买的自然人。',
    },
  },
  {
    categoryId: 'enterprise', parentId: null, kind: 'organisation', labels: { en: 'Enterprise', zh: '企业' }, template: enterprise,
    criterion: {
      en: 'An organisation that buys from us, or that we want as a buyer, and pays us more than we pay it.',
      zh: '向我们采购、或我们希望其向我们采购的组织，且其付给我们的款项多于我们付给它的。',
    },
  },
  {
    categoryId: 'supplier', parentId: null, kind: 'organisation', labels: { en: 'Supplier', zh: '供应商' }, template: organisation,
    criterion: {
      en: 'An organisation from which we buy, or may buy, and which we pay more than it pays us.',
      zh: '我们向其采购或可能采购的组织，且我们付给它的款项多于它付给我们的。',
    },
  },
  {
    categoryId: 'supplier-software', parentId: 'supplier', kind: 'organisation', labels: { en: 'Software', zh: '软件' }, template: nothingMore,
    criterion: {
      en: 'A supplier of which more than half of what it delivers to us, by value, is software or software services.',
      zh: '供应商中，按金额计其供货一半以上为软件或软件服务者。',
    },
  },
  {
    categoryId: 'supplier-hardware', parentId: 'supplier', kind: 'organisation', labels: { en: 'Hardware', zh: '硬件' }, template: nothingMore,
    criterion: {
      en: 'A supplier of which more than half of what it delivers to us, by value, is equipment, parts or consumables.',
      zh: '供应商中，按金额计其供货一半以上为设备、配件或耗材者。',
    },
  },
  {
    categoryId: 'partner', parentId: null, kind: 'organisation', labels: { en: 'Partner', zh: '合作伙伴' }, template: organisation,
    criterion: {
      en: 'An organisation that works with us under a cooperation agreement, where neither side mainly buys from the other.',
      zh: '与我们签有合作协议、双方之间不以买卖为主的组织。',
    },
  },
  {
    categoryId: 'competitor', parentId: null, kind: 'organisation', labels: { en: 'Competitor', zh: '竞争对手' }, template: organisation,
    criterion: {
      en: 'An organisation that offers our customers what we offer, and is neither buyer, nor supplier, nor partner of ours.',
      zh: '向我们的客户提供同类产品或服务，且不是我们的买方、供应商或合作伙伴的组织。',
    },
  },
  {
    categoryId: 'other', parentId: null, kind: 'organisation', labels: { en: 'Other', zh: '其他' }, template: organisation,
    criterion: {
      en: 'An organisation that meets none of the other criteria, such as an authority, an association or a media house.',
      zh: '不符合其他任何分类标准的组织，如政府机关、协会或媒体。',
    },
  },
]
