import { inspect } from 'node:util'
import { describe, expect, test } from 'vitest'
import { parseCommandLine } from './command-line.ts'
import { aliases, keys } from './keys.ts'
import { type ConfigSources, type LoadedConfig, loadConfig } from './zoo-cfg.ts'

const minimal = 'dataDir=/var/zk\nclientPort=2181\n'

function load(text: string, more: Partial<ConfigSources> = {}): LoadedConfig {
  return loadConfig({ file: { path: '/etc/zoo.cfg', text }, definitions: [], ...more })
}

function loaded(text: string, more: Partial<ConfigSources> = {}): Extract<LoadedConfig, { ok: true }> {
  const result = load(minimal + text, more)
  if (!result.ok) throw new Error(JSON.stringify(result.problems))
  return result
}

function problemsOf(text: string): string[] {
  const result = load(text)
  if (result.ok) throw new Error('the configuration was accepted')
  return result.problems.map(({ where, key, message }) => `${where} ${key}: ${message}`)
}

function noticesOf(text: string, more: Partial<ConfigSources> = {}): string[] {
  return loaded(text, more)
    .notices.filter(({ key }) => key !== 'autopurge.purgeInterval')
    .map(({ level, where, key, message }) => `${level} ${where} ${key} ${message}`)
}

describe('values', () => {
  test('a plain file gives the defaults of ZooKeeper', () => {
    const { core, process } = loaded('tickTime=2000\n')

    expect(core).toMatchObject({ tickTimeMs: 2000, minSessionTimeoutMs: 4000, maxSessionTimeoutMs: 40_000 })
    expect(core).toMatchObject({ maxClientCnxns: 60, maxFrameBytes: 0xfffff, isTtlEnabled: true })
    expect(core.storage).toMatchObject({
      snapCount: 100_000,
      purge: { retainCount: 3 },
      snapshotCodec: 'plain',
    })
    expect(process).toMatchObject({ dataDir: '/var/zk', dataLogDir: '/var/zk', host: undefined, port: 2181 })
    expect(Object.isFrozen(core.storage.purge)).toBe(true)
  })

  test('sessions last no longer than the handshake can say', () => {
    const { core } = loaded('tickTime=200000000\n')

    expect(core).toMatchObject({ minSessionTimeoutMs: 400_000_000, maxSessionTimeoutMs: 2_147_483_647 })
  })

  test('the original reads only -D jute.maxbuffer; here the file counts too, and the extra size follows it', () => {
    const { core } = loaded('jute.maxbuffer=0x400000\n')

    expect(core).toMatchObject({ maxFrameBytes: 4_194_304, extraFrameBytes: 4_194_304 })
  })

  test('purge is off only when the file says so', () => {
    expect(loaded('autopurge.purgeInterval=0\n').core.storage.purge).toBeUndefined()
    expect(loaded('autopurge.purgeInterval=12h\nautopurge.snapRetainCount=5\n').core.storage.purge).toEqual({
      retainCount: 5,
    })
    expect(loaded('').notices.map(({ key }) => key)).toContain('autopurge.purgeInterval')
  })

  test('TTL znodes are off only when the file says so', () => {
    expect(loaded('extendedTypesEnabled=true\n').core.isTtlEnabled).toBe(true)
    expect(loaded('extendedTypesEnabled=false\n').core.isTtlEnabled).toBe(false)
  })

  test('bad text of a pass-through key means the default, and is said', () => {
    const { core } = loaded('snapCount=many\n')

    expect(core.storage.snapCount).toBe(100_000)
    expect(noticesOf('snapCount=many\n')).toEqual([
      'warn /etc/zoo.cfg:3 snapCount expected a whole number, found "many"; the default is used',
    ])
  })

  test('a pass-through number out of its range means the default, as typed', () => {
    expect(loaded('preAllocSize=-1\n').core.storage.preAllocBytes).toBe(65_536 * 1024)
    expect(noticesOf('preAllocSize=-1\nglobalOutstandingLimit=0x0\n')).toEqual([
      'warn /etc/zoo.cfg:3 preAllocSize must be at least 0, and is -1; the default is used',
      'warn /etc/zoo.cfg:4 globalOutstandingLimit must be at least 1, and is 0x0; the default is used',
    ])
    expect(problemsOf(`${minimal}tickTime=9223372036854775808\n`)).toEqual([
      '/etc/zoo.cfg:3 tickTime: must be at most 2147483647, and is 9223372036854775808',
    ])
  })

  test('negative numbers of ticks and a negative backlog say no more than none', () => {
    const { core, process } = loaded('initLimit=-1\nobserverMasterPort=-1\nclientPortListenBacklog=-5\n')

    expect({ core, process }).toEqual({ core: loaded('').core, process: loaded('').process })
  })

  test('a negative maxClientCnxns is no limit, as in the original', () => {
    expect(loaded('maxClientCnxns=-1\n').core.maxClientCnxns).toBe(0)
    expect(noticesOf('maxClientCnxns=-1\n')).toEqual(['warn /etc/zoo.cfg:3 maxClientCnxns -1 is raised to 0'])
  })

  test('yes and no are written small: NO does not switch the sync off, YES not the ACLs', () => {
    expect(loaded('forceSync=NO\n').core.storage.isSyncForced).toBe(true)
    expect(loaded('forceSync=no\n').core.storage.isSyncForced).toBe(false)
    expect(loaded('skipACL=YES\n').core.auth.isAclSkipped).toBe(false)
    expect(loaded('skipACL=yes\n').core.auth.isAclSkipped).toBe(true)
    expect(noticesOf('forceSync=NO\nskipACL=YES\n')).toEqual([
      `warn /etc/zoo.cfg:3 forceSync "NO" means yes: only 'no' means no`,
      `warn /etc/zoo.cfg:4 skipACL "YES" means no: only 'yes' means yes`,
    ])
  })

  test('a whitelist that names no four-letter word is said', () => {
    expect(noticesOf('4lw.commands.whitelist=stat, ruok,*\n')).toEqual([])
    expect(noticesOf('4lw.commands.whitelist=stat ruok,mntr\n')).toEqual([
      'warn /etc/zoo.cfg:3 4lw.commands.whitelist names no four-letter word: "stat ruok"; words are divided by commas',
    ])
  })

  test('yes and 1 do not mean true for a pass-through boolean', () => {
    expect(loaded('enforceQuota=yes\n').core.isQuotaEnforced).toBe(false)
    expect(noticesOf('enforceQuota=yes\n')).toEqual([
      `warn /etc/zoo.cfg:3 enforceQuota "yes" means false: only 'true' means true`,
    ])
  })

  test('a required SASL identity is enforced although nobody can have one yet, and then nothing else will do', () => {
    const sasl = 'authProvider.1=SASLAuthenticationProvider\nsessionRequireClientSASLAuth=true\n'
    const digest = 'enforce.auth.enabled=true\nenforce.auth.schemes=digest\n'

    expect(loaded(sasl).core.auth.enforcedSchemes).toEqual(['sasl'])
    expect(loaded(sasl + digest).core.auth.enforcedSchemes).toEqual(['sasl'])
    expect(loaded(digest).core.auth.enforcedSchemes).toEqual(['digest'])
  })

  test('the last of two equal keys counts, and the first is named', () => {
    expect(loaded('tickTime=1000\ntickTime=500\n').core.tickTimeMs).toBe(500)
    expect(noticesOf('tickTime=1000\ntickTime=500\n')).toEqual([
      'warn /etc/zoo.cfg:3 tickTime is written again in line 4, which counts',
    ])
  })
})

describe('problems', () => {
  test('all of them are reported at once, each with its line', () => {
    const text =
      'tickTime=0\nclientPort=abc\nreconfigEnabled=maybe\nminSessionTimeout=9\nmaxSessionTimeout=8\n'

    expect(problemsOf(text)).toEqual([
      '/etc/zoo.cfg:1 tickTime: tickTime is not set',
      '/etc/zoo.cfg:2 clientPort: expected a whole number, found "abc"',
      `/etc/zoo.cfg:3 reconfigEnabled: Invalid option "maybe" for reconfigEnabled. Choose 'true' or 'false.'`,
      '/etc/zoo.cfg dataDir: dataDir is not set',
      '/etc/zoo.cfg:4 minSessionTimeout: minSessionTimeout must not be larger than maxSessionTimeout (9 and 8 ms)',
    ])
  })

  test('a key that is wrong by itself is not compared with another', () => {
    expect(problemsOf('dataDir=/d\nclientPort=99999\nclientPortAddress=localhost\n')).toEqual([
      expect.stringMatching(/^\/etc\/zoo\.cfg:2 clientPort: /),
    ])
  })

  test.each([
    ['dataDir=/d\nclientPortAddress=localhost\n', 'clientPortAddress is set but clientPort is not set'],
    [`${minimal}peerType=boss\n`, 'Unrecognised peertype: boss'],
    [`${minimal}electionAlg=1\n`, 'Invalid electionAlg value. Only 3 is supported.'],
    [
      `${minimal}enforce.auth.enabled=true\n`,
      'enforce.auth.enabled is true, and enforce.auth.schemes names no scheme',
    ],
    [
      `${minimal}enforce.auth.enabled=true\nenforce.auth.schemes=ip,digset\n`,
      '4 enforce.auth.schemes: Authentication scheme digset is not available.',
    ],
    [
      `${minimal}DigestAuthenticationProvider.enabled=false\nenforce.auth.enabled=true\nenforce.auth.schemes=digest\n`,
      'Authentication scheme digest is not available.',
    ],
    [
      `${minimal}sessionRequireClientSASLAuth=true\n`,
      '3 sessionRequireClientSASLAuth: Authentication scheme sasl is not available.',
    ],
    [`${minimal}DigestAuthenticationProvider.digestAlg=SHA256\n`, 'only SHA1 is supported'],
    [
      `${minimal}standaloneEnabled=false\n`,
      'standaloneEnabled = false then number of participants should be >0',
    ],
    [
      `${minimal}secureClientPortAddress=::\n`,
      'secureClientPortAddress is set but secureClientPort is not set',
    ],
    [
      `${minimal}quorum.auth.learnerRequireSasl=true\n`,
      'quorum.auth.enableSasl is disabled, so cannot enable quorum.auth.learnerRequireSasl',
    ],
    [
      `${minimal}quorum.auth.enableSasl=TRUE\nquorum.auth.serverRequireSasl=true\n`,
      'quorum.auth.learnerRequireSasl is disabled, so cannot enable quorum.auth.serverRequireSasl',
    ],
    [`${minimal}b=\\u00\n`, 'Malformed \\uxxxx encoding.'],
  ])('%j is refused', (text, message) => {
    expect(problemsOf(text).join('\n')).toContain(message)
  })

  test.each([
    ['jvm.pause.monitor', 'yes'],
    ['jvm.pause.sleep.time.ms', '1s'],
    ['multiAddress.enabled', '1'],
    ['multiAddress.reachabilityCheckTimeoutMs', '1s'],
    ['quorum.auth.enableSasl', 'on'],
    ['quorum.cnxn.threads.size', '0x10'],
    ['autopurge.purgeInterval', '2147483648'],
    ['autopurge.snapRetainCount', '-2147483649'],
  ])('%s=%s is no value of a native key, whatever becomes of the key', (key, value) => {
    expect(problemsOf(`${minimal}${key}=${value}\n`)).toEqual([
      expect.stringContaining(`/etc/zoo.cfg:3 ${key}: `),
    ])
  })

  test('an ensemble is refused, naming its lines', () => {
    expect(problemsOf(`${minimal}server.1=a:1:2\nserver.2=b:1:2\nweight.1=1\n`)).toEqual([
      '/etc/zoo.cfg:3 server.1: ensembles are not supported yet',
      '/etc/zoo.cfg:4 server.2: ensembles are not supported yet',
      '/etc/zoo.cfg:5 weight.1: ensembles are not supported yet',
    ])
    expect(problemsOf(`${minimal}dynamicConfigFile=/x\n`)).toHaveLength(1)
    expect(problemsOf(`${minimal}standaloneEnabled=false\nserver.1=a:1:2\n`)).toHaveLength(1)
  })

  test('groups and weights of one server change nothing', () => {
    const notices = load('dataDir=/d\nserver.1=localhost:2888:3888;2181\nweight.1=1\n').notices

    expect(notices.find(({ key }) => key === 'weight.1')?.message).toBe(
      'has no effect on a standalone server',
    )
  })

  test('one server line is a standalone server, on the client port of that line', () => {
    const result = load('dataDir=/d\nserver.1=localhost:2888:3888;2181\n')

    expect(result).toMatchObject({ ok: true, process: { port: 2181 } })
    expect(result.notices).toContainEqual({
      level: 'warn',
      where: '/etc/zoo.cfg:2',
      key: 'server.1',
      message: 'Invalid configuration, only one server specified (ignoring)',
    })
  })

  test.each([
    ['localhost:2888:3888;[::1]:2181', '::1', 2181],
    ['localhost:2888:3888;:2181', undefined, 2181],
    ['[::1]:2888:3888:PARTICIPANT;2181', undefined, 2181],
    ['[2001:db8:1:1::5]:2888:3888;2181', undefined, 2181],
    ['a:2888:3888|b:2888:3888;2181', undefined, 2181],
    ['localhost:2888:3888;2181;2281', undefined, 2181],
  ])('server.1=%s serves clients there', (line, host, port) => {
    expect(load(`dataDir=/d\nserver.1=${line}\n`)).toMatchObject({ ok: true, process: { host, port } })
  })

  test.each(['[::1]', '::1'])('clientPortAddress=%s is an address of IPv6', written => {
    expect(loaded(`clientPortAddress=${written}\n`).process.host).toBe('::1')
  })

  test('an empty clientPortAddress is the loopback address, as in the original', () => {
    expect(loaded('clientPortAddress=\n').process.host).toBe('127.0.0.1')
    expect(noticesOf('clientPortAddress=\n')).toEqual([
      'warn /etc/zoo.cfg:3 clientPortAddress is empty, which means the loopback address',
    ])
  })

  test('the TLS port of a server line is none for clients without TLS', () => {
    expect(problemsOf('dataDir=/d\nserver.1=localhost:2888:3888;;2281\n')).toEqual([
      '/etc/zoo.cfg clientPort: clientPort is not set: there would be no port to serve clients on',
    ])
    expect(noticesOf('server.1=localhost:2888:3888;2181;2281\n')).toContain(
      'warn /etc/zoo.cfg:3 server.1 names a secure client port, which is not yet supported (TLS)',
    )
  })

  const form = 'does not have the form host:port:port[:role][;[address:]clientPort]'
  test.each([
    ['server.1=localhost', `server.1: "localhost" ${form}`],
    ['server.1=localhost:2888:3888;abc', `server.1: "localhost:2888:3888;abc" ${form}`],
    ['server.1=localhost:2888:3888;99999', 'server.1: port out of range: 99999'],
    ['server.1=localhost:2888:99999;2181', 'server.1: port out of range: 99999'],
    [
      'server.1=localhost:2888:2888;2181',
      'server.1: Client and election port must be different! Please update the configuration file on server.1',
    ],
    ['server.1=localhost:2888:3888:king;2181', 'server.1: Unrecognised peertype: king'],
    [
      'server.1=localhost:2888:3888:observer;2181',
      'server.1: Observers w/o participants is an invalid configuration',
    ],
    ['server.x=localhost:2888:3888;2181', 'server.x: server id "x" is not a number'],
  ])('%s is refused, though there is but one', (line, problem) => {
    expect(problemsOf(`${minimal}${line}\n`)).toEqual([`/etc/zoo.cfg:3 ${problem}`])
  })
})

describe('keys', () => {
  test('a misspelt key is named with the nearest known one', () => {
    expect(noticesOf('maxClientCnxn=5\nqwertyuiop=1\n')).toEqual([
      'warn /etc/zoo.cfg:3 maxClientCnxn is unknown; did you mean maxClientCnxns?',
      'warn /etc/zoo.cfg:4 qwertyuiop is unknown',
    ])
  })

  test('what is not built yet or has no meaning here is said', () => {
    expect(noticesOf('secureClientPort=2281\nadmin.enableServer=true\nnio.numWorkerThreads=4\n')).toEqual([
      'warn /etc/zoo.cfg:3 secureClientPort is not yet supported (TLS)',
      'warn /etc/zoo.cfg:4 admin.enableServer is not yet supported (AdminServer)',
      'warn /etc/zoo.cfg:5 nio.numWorkerThreads has no meaning here: there is no JVM',
    ])
  })

  test('a throttle setting that changes nothing here says so', () => {
    expect(noticesOf('request_throttle_stall_time=50\nrequest_stale_latency_check=true\n')).toEqual([
      'warn /etc/zoo.cfg:3 request_throttle_stall_time has no meaning here: who waits goes on as soon as there is room',
      'warn /etc/zoo.cfg:4 request_stale_latency_check has no meaning here: what a connection was waiting for goes with it, and it goes when its session has expired',
    ])
  })

  test('either kind of connection of the original is served, and not spoken of', () => {
    const named = (name: string): string[] => noticesOf(`serverCnxnFactory=${name}\n`)

    expect(named('org.apache.zookeeper.server.NIOServerCnxnFactory')).toEqual([])
    expect(named('org.apache.zookeeper.server.NettyServerCnxnFactory')).toEqual([])
    expect(named('com.example.Own')).toEqual([
      'warn /etc/zoo.cfg:3 serverCnxnFactory has no meaning here: one kind of connection serves all clients',
    ])
  })

  test('what only members of ensembles read is checked, and named in one line', () => {
    expect(
      noticesOf('tickTime=2000\ninitLimit=10\nsyncLimit=5\nsslQuorum=false\nssl.quorum.keyStore.type=PEM\n'),
    ).toEqual([
      'warn /etc/zoo.cfg:4 initLimit is read by members of ensembles, which are not yet supported; ' +
        'so are syncLimit (/etc/zoo.cfg:5), ssl.quorum.keyStore.type (/etc/zoo.cfg:7)',
    ])
    expect(problemsOf(`${minimal}initLimit=ten\nsyncEnabled=maybe\nelectionAlg=0\n`)).toHaveLength(3)
  })

  test('a feature that is not built yet may be switched off', () => {
    expect(noticesOf('admin.enableServer=false\naudit.enable=FALSE\nssl.clientAuth=none\n')).toEqual([
      'warn /etc/zoo.cfg:5 ssl.clientAuth is not yet supported (TLS)',
    ])
  })

  test('read-only mode, of which a standalone server has no use, allows the word isro', () => {
    const words = (text: string): readonly string[] => loaded(text).process.fourLetterWords

    expect(words('4lw.commands.whitelist=mntr\n')).toEqual(['mntr'])
    expect(words('4lw.commands.whitelist=mntr\nreadonlymode.enabled=true\n')).toEqual(['mntr', 'isro'])
  })

  test('documented spellings that the original never reads are accepted with a notice', () => {
    const { core } = loaded('requestThrottleLimit=7\nzookeeper.snapCount=50\n')

    expect(core.requestThrottle.maxRequests).toBe(7)
    expect(core.storage.snapCount).toBe(50)
    expect(noticesOf('requestThrottleLimit=7\n')).toEqual([
      'info /etc/zoo.cfg:3 requestThrottleLimit has no effect in the original; read as request_throttle_max_requests',
    ])
  })

  /** But for standaloneEnabled, which only judges server lines. */
  const honoured = keys
    .filter(({ fate, name }) => fate.kind === 'honoured' && name !== 'standaloneEnabled')
    .map(({ name }) => name)
  const samples = ['0', '5', '99999', '77', 'true', 'false', 'yes', 'no', 'gz', '/x', 'debug', '0.5', 'a,b']

  test.each(honoured)('%s changes the configuration', key => {
    // These count only in company.
    const provider = 'authProvider.1=a\n'
    const company = key.startsWith('enforce.auth')
      ? `${provider}enforce.auth.enabled=true\nenforce.auth.schemes=x\n`
      : provider
    const without = load(minimal + company)
    const results = samples.map(value => load(`${minimal}${company}${key}=${value}\n`))
    const said = (result: LoadedConfig): string =>
      result.ok ? inspect([result.core, result.process], { depth: 9 }) : 'refused'
    const accepted = results.filter(result => result.ok).map(said)

    expect(accepted.some(each => each !== said(without))).toBe(true)
  })

  test('every alias leads to a row, and no name has two rows', () => {
    const names = keys.map(({ name }) => name)
    const isCovered = (key: string): boolean =>
      names.some(name => name === key || (name.endsWith('*') && key.startsWith(name.slice(0, -1))))

    expect([...aliases.values()].filter(key => !isCovered(key))).toEqual([])
    expect(names.filter((name, i) => names.indexOf(name) !== i)).toEqual([])
  })
})

describe('definitions and options', () => {
  test('the file wins over -D and says so; options win over the file', () => {
    const more = {
      definitions: [{ name: 'zookeeper.snapCount', value: '5', origin: 'JVMFLAGS' }],
      options: { clientPort: 0 },
    }
    const { core, process } = loaded('snapCount=9\n', more)

    expect(core.storage.snapCount).toBe(9)
    expect(process.port).toBe(0)
    expect(noticesOf('snapCount=9\n', more)).toEqual([
      'warn /etc/zoo.cfg:3 snapCount counts instead of the definition (JVMFLAGS)',
    ])
  })

  test('-D reads bare names, and a strange one is harmless', () => {
    const definitions = [
      { name: 'jute.maxbuffer', value: '2097152', origin: 'JVMFLAGS' },
      { name: 'file.encoding', value: 'UTF-8', origin: 'JVMFLAGS' },
    ]

    expect(loaded('', { definitions }).core.maxFrameBytes).toBe(2_097_152)
    expect(noticesOf('', { definitions })).toEqual(['info JVMFLAGS -Dfile.encoding has no meaning here'])
  })

  test('a key of ZooKeeper that lacks the prefix has no effect, and is said to', () => {
    const definitions = [
      { name: '4lw.commands.whitelist', value: '*', origin: 'command line' },
      { name: 'requestThrottleLimit', value: '5', origin: 'command line' },
    ]

    expect(noticesOf('', { definitions })).toEqual([
      'warn command line -D4lw.commands.whitelist has no effect; did you mean -Dzookeeper.4lw.commands.whitelist?',
      'warn command line -DrequestThrottleLimit has no effect; did you mean -Dzookeeper.request_throttle_max_requests?',
    ])
    expect(loaded('', { definitions }).process.fourLetterWords).toEqual([])
  })

  test('no message repeats a secret', () => {
    const definitions = [
      { name: 'zookeeper.SASLAuthenticationProvider.superPassword', value: 's3cret', origin: 'x' },
    ]
    const { notices } = loaded(
      'DigestAuthenticationProvider.superDigest=super:s3cret=\nsuperDigset=s3cret\n',
      {
        definitions,
      },
    )

    expect(JSON.stringify(notices)).not.toContain('s3cret')
  })
})

describe('command line', () => {
  test('without arguments: the embedded defaults', () => {
    const command = parseCommandLine([], {})

    expect(command).toMatchObject({
      kind: 'serve',
      configFile: undefined,
      base: { clientPort: 2181, clientPortAddress: '127.0.0.1', dataDir: './data' },
    })
  })

  test('a file, options and definitions in any order', () => {
    const args = [
      '-Dzookeeper.snapCount=10',
      '--client-port',
      '0',
      'zoo.cfg',
      '--data-dir=/d',
      '--host',
      '::1',
    ]

    expect(parseCommandLine(args, { JVMFLAGS: '-Xmx1g "-Djute.maxbuffer=5 "' })).toEqual({
      kind: 'serve',
      configFile: 'zoo.cfg',
      base: {},
      options: { clientPort: 0, dataDir: '/d', clientPortAddress: '::1' },
      definitions: [
        { name: 'jute.maxbuffer', value: '5', origin: 'JVMFLAGS' },
        { name: 'zookeeper.snapCount', value: '10', origin: 'command line' },
      ],
      problems: [],
    })
  })

  test('the short form of the original', () => {
    expect(parseCommandLine(['2182', '/d', '500', '0'], {})).toMatchObject({
      configFile: undefined,
      base: { clientPort: 2182, dataDir: '/d', tickTimeMs: 500, maxClientCnxns: 0 },
    })
  })

  test.each([[['--nonsense']], [['1', '/d', '0']], [['1', '2', '3', '4', '5']], [['']], [['2181', '']]])(
    '%j is an invocation error',
    args => {
      expect(parseCommandLine(args, {}).kind).toBe('invalid')
    },
  )

  test('a wrong value of an option is a problem beside others', () => {
    const args = ['--client-port', '65536', '--data-dir', '', '--data-log-dir=', '--host', '']

    expect(parseCommandLine(args, {})).toMatchObject({
      problems: [
        'the client port must be at most 65535, and is 65536',
        '--host is empty',
        '--data-dir is empty',
        '--data-log-dir is empty',
      ],
    })
    expect(parseCommandLine(['--client-port', 'x'], {})).toMatchObject({ problems: [expect.any(String)] })
  })

  test('an unknown option is named, and nothing else is said', () => {
    expect(parseCommandLine(['--nonsense'], {})).toMatchObject({ problem: "Unknown option '--nonsense'" })
  })
})
