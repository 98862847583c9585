import { readFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { pages } from '../docs/generate.ts'

describe('the pages that follow from the code', () => {
  it.each(Object.entries(pages()))('%s says what the code says (npm run docs writes it)', async (file, content) => {
    expect(await readFile(file, 'utf8')).toBe(content)
  })
})
