import { groupKeys } from '/work/main/src/cli/import/keys.ts'
import { readFile, readdir } from 'node:fs/promises'
import { makeCodec } from '/work/main/src/event-store/codec.ts'
import { readConfig } from '/work/main/src/config.ts'
import { openDatabase, openCore } from '/work/main/src/main.ts'
import { readImport } from '/work/main/src/cli/import/import.ts'
import { runImport } from '/work/main/src/cli/import/run.ts'
const config = readConfig({ KEHU_DATA_DIR: '/tmp/imp/data2' })
const database = await openDatabase(config, () => undefined)
const core = await openCore(config, database.connectionString, () => undefined)
const pgCpu = async () => { let sum = 0, n = 0
  const main = (await readFile('/tmp/imp/data2/'+(await readdir('/tmp/imp/data2')).find(x=>x.startsWith('p'))+'/postmaster.pid','utf8')).split('\n')[0]
  for (const p of await readdir('/proc')) if (/^\d+$/.test(p)) { try { const f=(await readFile(`/proc/${p}/stat`,'utf8')); const a=f.slice(f.lastIndexOf(')')+2).split(' '); if (a[1]===main || p===main) { sum+=Number(a[11])+Number(a[12]); n++ } } catch {} }
  return sum*10 }
for (const c of [64, 64, 64]) {
const r = await readImport('/work/shared/data/matching/febrl3.csv', { map: `/tmp/imp/febrl.yaml`, as: 'import', id: `run${Date.now()}` })
const p=await pgCpu(), cc=process.cpuUsage(), t=performance.now()
await runImport({ concurrency: c, runtime: {...core.runtime, ...(process.env.G==='0'?{}:{codec: makeCodec(groupKeys(core.keyring))})}, map: r.map, rows: r.source.read(), importId: r.importId, actor: 'import' })
const u=process.cpuUsage(cc)
console.log('C',c,Math.round(performance.now()-t), 'ms; node cpu', Math.round((u.user+u.system)/1000), 'pg cpu', await pgCpu()-p, 'load', (await readFile('/proc/loadavg','utf8')).slice(0,5))
}
await core.close(); await database.close()
