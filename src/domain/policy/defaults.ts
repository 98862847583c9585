import { defaultWeights } from '../matching/default-weights.ts'
import type { PolicyValues } from './kinds.ts'

const steps = {
  reply: { targetDays: 1, deadlineDays: 2 },
  act: { targetDays: 3, deadlineDays: 5 },
  'follow-up': { targetDays: 6, deadlineDays: 8 },
  improve: { targetDays: 10, deadlineDays: 15 },
}

/** The handbook's: 50 yuan. */
const fine = { amount: 5000, currency: 'CNY' }

/** The policies a new organisation starts with: recorded as version 1 of each kind on the first start. */
export const defaultPolicies: PolicyValues = {
  stages: {
    initial: 'target',
    stages: [
      { name: 'target', labels: { en: 'Target', zh: '目标' }, completeness: 0 },
      { name: 'prospect', labels: { en: 'Prospect', zh: '意向' }, completeness: 1 },
      { name: 'active', labels: { en: 'Active', zh: '成交' }, completeness: 2 },
      // A customer is lost or falls asleep whether or not its record is complete.
      { name: 'dormant', labels: { en: 'Dormant', zh: '沉睡' }, completeness: 0 },
      { name: 'lost', labels: { en: 'Lost', zh: '流失' }, completeness: 0 },
    ],
    moves: [
      { from: 'target', to: 'prospect', kind: 'progress', reasonRequired: false },
      { from: 'target', to: 'active', kind: 'progress', reasonRequired: false },
      { from: 'target', to: 'lost', kind: 'setback', reasonRequired: false },
      { from: 'prospect', to: 'active', kind: 'progress', reasonRequired: false },
      { from: 'prospect', to: 'lost', kind: 'setback', reasonRequired: false },
      { from: 'prospect', to: 'target', kind: 'correction', reasonRequired: true },
      { from: 'active', to: 'dormant', kind: 'setback', reasonRequired: false },
      { from: 'active', to: 'lost', kind: 'setback', reasonRequired: false },
      { from: 'dormant', to: 'active', kind: 'won-back', reasonRequired: false },
      { from: 'dormant', to: 'lost', kind: 'setback', reasonRequired: false },
      { from: 'lost', to: 'prospect', kind: 'won-back', reasonRequired: false },
      { from: 'lost', to: 'active', kind: 'won-back', reasonRequired: false },
    ],
    onPurchase: { from: ['target', 'prospect'], to: 'active' },
  },
  tiers: {
    tiers: [
      { name: 'standard', labels: { en: 'Standard', zh: '普通' }, channel: 'automated' },
      { name: 'preferred', labels: { en: 'Preferred', zh: '中产' }, channel: 'relationship-manager' },
      { name: 'premier', labels: { en: 'Premier', zh: 'VIP' }, channel: 'specialist-partner' },
    ],
    bases: [
      { name: 'spend', labels: { en: 'Spend over a threshold', zh: '消费达标' } },
      { name: 'membership-card', labels: { en: 'Membership card', zh: '会员卡' } },
      { name: 'balance', labels: { en: 'Balance', zh: '存款余额' } },
      { name: 'approval', labels: { en: 'Approval by a named person', zh: '审批' } },
      { name: 'correction', labels: { en: 'Correction of a wrong entry', zh: '更正' } },
    ],
    onSpend: [
      { tier: 'preferred', threshold: { amount: 5_000_000, currency: 'CNY' }, mode: 'grant' },
      { tier: 'premier', threshold: { amount: 50_000_000, currency: 'CNY' }, mode: 'propose' },
    ],
  },
  ownership: {
    backdatingDays: 3650,
    protection: { days: 90, byCategory: {}, byTier: { premier: 180 }, warnDays: 7, exempt: { openComplaint: true, recentPurchaseDays: 90 } },
    pool: { coolOffDays: null, dailyQuota: null, capacity: null, uncountedStages: [] },
    handover: { to: 'pool' },
  },
  visibility: { nameCharacters: 1, identifierLookupsPerMinute: 30 },
  complaints: {
    classes: [
      { name: 'product', labels: { en: 'Product', zh: '产品' } },
      { name: 'service', labels: { en: 'Service', zh: '服务' } },
      { name: 'price', labels: { en: 'Price', zh: '价格' } },
      { name: 'delivery', labels: { en: 'Delivery', zh: '交付' } },
      { name: 'other', labels: { en: 'Other', zh: '其他' } },
    ],
    severities: [
      { name: 'minor', labels: { en: 'Minor', zh: '一般' }, startsAtLevel: 1 },
      { name: 'serious', labels: { en: 'Serious', zh: '严重' }, startsAtLevel: 1 },
      { name: 'critical', labels: { en: 'Critical', zh: '重大' }, startsAtLevel: 2 },
    ],
    levels: [
      { level: 1, role: 'clerk', handlerId: null, authorityLimit: { amount: 50_000, currency: 'CNY' }, steps },
      { level: 2, role: 'manager', handlerId: null, authorityLimit: { amount: 500_000, currency: 'CNY' }, steps },
      { level: 3, role: 'manager', handlerId: null, authorityLimit: { amount: 5_000_000, currency: 'CNY' }, steps },
    ],
  },
  matching: defaultWeights,
  duplicates: { default: { nearMatch: 'warn', threshold: 0.5 }, categories: {} },
  penalties: { amounts: { duplicate: fine, wrongCategory: fine, incomplete: fine }, deadlineDays: 7 },
}
