// Runs the layering rules of .dependency-cruiser.js, and fails when they looked at nothing.
import { cruise } from 'dependency-cruiser'
import extractTSConfig from 'dependency-cruiser/config-utl/extract-ts-config'
import config from '../.dependency-cruiser.js'

const { output } = await cruise(['src', 'migrations'], { ...config.options, ruleSet: { forbidden: config.forbidden }, validate: true, outputType: 'json' }, undefined, { tsConfig: extractTSConfig('tsconfig.json') })
const result = typeof output === 'string' ? JSON.parse(output) : output
const seen = result.modules.filter((module) => module.source.startsWith('src/')).length
for (const violation of result.summary.violations) process.stdout.write(`${violation.rule.severity} ${violation.rule.name}: ${violation.from} → ${violation.to}\n`)
process.stdout.write(`layers: ${seen} modules, ${result.summary.totalDependenciesCruised} dependencies, ${result.summary.error} violations\n`)
if (seen < 20) process.stdout.write('layers: too few modules were seen: the tool did not understand the sources\n')
process.exitCode = result.summary.error > 0 || seen < 20 ? 1 : 0
