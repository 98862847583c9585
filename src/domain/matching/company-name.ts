import { branchKinds, legalForms, trades, westernBranches, westernForms } from './company-words.ts'
import { takeRegion, type Region } from './regions.ts'
import { isHan, plainText, wordsOf } from './text.ts'

/**
 * A company's name, taken apart: 深圳市 | 华宇 | 电子科技 | 有限公司 | 北京分公司. What it is called (`core`) tells it
 * from others; where, in what trade, and as which form it is registered helps; a branch is not its parent.
 */
export type CompanyName = { core: string; region: Region; trade?: string; form?: string; branch?: string; aliases: string[] }

export const parseCompanyName = (written: string): CompanyName => {
  const plain = plainText(written)
  return isHan(plain) ? chinese(plain) : western(plain)
}

const brackets = /[([{<〔【〖《「『]([^()[\]{}<>〔〕【】〖〗《》「」『』]*)[)\]}>〕】〗》」』]/gu
const branchEnd = new RegExp(`(?:${branchKinds.toSorted((one, other) => other.length - one.length).join('|')})$`, 'u')
const tradeSet = new Set(trades)

const chinese = (plain: string): CompanyName => {
  const aliases: string[] = []
  const inBrackets: string[] = []
  const bare = plain.replace(brackets, (_all, inside: string) => {
    inBrackets.push(inside.replace(/[^\p{L}\p{N}]/gu, ''))
    return ''
  }).replace(/[^\p{L}\p{N}]/gu, '')
  let bracketForm: string | undefined
  let branch: string | undefined
  let region: Region = {}
  for (const inside of inBrackets) {
    const { region: named, rest } = takeRegion(inside)
    const form = legalForms.find(([name]) => name === inside || `${name}企业` === inside)
    if (form) bracketForm = form[1]
    else if (branchEnd.test(inside) || (/店$/u.test(inside) && inside.length <= 8)) branch = inside
    else if (rest === '' && inside !== '') region = { ...named, ...region }
    else if (inside.length >= 2 && inside !== '中国') aliases.push(inside)
  }
  const split = splitBranch(bare)
  branch ??= split.branch
  const { region: leading, rest } = takeRegion(split.head)
  const { name, form } = takeForm(rest)
  const { core, trade } = takeTrade(name.replace(/^[^区县]{2,4}(?:区|县)(?=.{3})/u, (taken) => (/(?:小|社|园|景|校|新|特|军|山|林|城|开发)区$/u.test(taken) ? taken : '')))
  const legal = form ?? bracketForm
  return {
    core, region: { ...region, ...leading }, aliases,
    ...(trade === undefined ? {} : { trade }), ...(legal === undefined ? {} : { form: legal }), ...(branch === undefined ? {} : { branch: branch.replace(/^第/u, '') }),
  }
}

/** What follows the form of the parent (…有限公司深圳分公司), or 银行 (招商银行南山支行), names a part of it. */
const splitBranch = (bare: string): { head: string; branch?: string } => {
  const after = /^(.+?(?:有限责任公司|有限公司|股份公司|集团公司|银行|信用社|保险公司|公司))(.{1,16})$/u.exec(bare)
  if (after?.[1] && after[2] && (branchEnd.test(after[2]) || /店$/u.test(after[2]))) return { head: after[1].replace(/银行股份有限公司$/u, '银行'), branch: after[2] }
  const end = branchEnd.exec(bare)
  if (!end || end.index < 3) return { head: bare }
  // 海底捞深圳南山分店: from the first place named after the name; else the two characters before.
  for (let at = 2; at < end.index; at += 1) {
    const { region } = takeRegion(bare.slice(at, end.index))
    if (region.province !== undefined) return { head: bare.slice(0, at), branch: bare.slice(at) }
  }
  const at = Math.max(2, end.index - 2)
  return { head: bare.slice(0, at), branch: bare.slice(at) }
}

const takeForm = (text: string): { name: string; form?: string } => {
  for (const [written, form] of legalForms) if (text.endsWith(written) && text.length - written.length >= 2) return { name: text.slice(0, -written.length), form }
  return { name: text }
}

/** Trades from the end, one after another, as long as a name of two characters is left. */
const takeTrade = (text: string): { core: string; trade?: string } => {
  let core = text
  const taken: string[] = []
  for (let more = true; more; ) {
    more = false
    for (let length = Math.min(6, core.length - 2); length >= 2; length -= 1) {
      const end = core.slice(-length)
      if (!tradeSet.has(end)) continue
      taken.unshift(end)
      core = core.slice(0, -length)
      more = true
      break
    }
  }
  return { core, ...(taken.length > 0 ? { trade: taken.join('') } : {}) }
}

const western = (plain: string): CompanyName => {
  const words = wordsOf(plain.replaceAll('&', ' and ')).filter((word, index) => !(index === 0 && word === 'the'))
  const forms: string[] = []
  while (words.length > 1) {
    const form = westernForms[words.at(-1) ?? '']
    if (form === undefined) break
    forms.unshift(form)
    words.pop()
  }
  const branch = westernBranches.has(words.at(-1) ?? '') && words.length > 2 ? words.splice(-2).join(' ') : undefined
  const form = forms.find((one) => one !== 'company') ?? forms[0]
  return { core: words.join(' '), region: {}, aliases: [], ...(form === undefined ? {} : { form }), ...(branch === undefined ? {} : { branch }) }
}
