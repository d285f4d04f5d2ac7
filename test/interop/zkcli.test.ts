/** Apache ZooKeeper's own shell, as Debian ships it: what it prints must not depend on the server. */
import { spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'
import { expect, test } from 'vitest'
import { childEnvironment, type InteropServer } from './interop-server.ts'
import { withEach } from './servers.ts'
import { describeWith, java, javaZooKeeper } from './software.ts'

const shell = '/usr/share/zookeeper/bin/zkCli.sh'

const session = `
create /a one
create -s /a/s- x
create -e /a/e y
create -e -s /a/es- y
create -c /c
create -t 60000 /t ttl
get -s /a
ls /a
ls -R /
ls -s /a
stat /a
set /a two
set -s -v 1 /a two
set -v 0 /a three
set -v 2 /a three
get -w /a
set /a four
stat -w /gone
create /gone
ls -w /c
create /c/y
delete /c/y
addauth digest u:p
setAcl /a auth::cdrwa
setAcl -s /c world:anyone:r
create /c/denied
setAcl /c digest:bad:r
getAcl -s /a
getAcl /c
getAllChildrenNumber /
getEphemerals
getEphemerals /a
setquota -n 5 /t
setquota -b 100 /t
listquota /t
create /t/counted
listquota /t
delquota -n /t
listquota /t
delquota /t
sync /a
addWatch -m PERSISTENT /t
create /t/x
addWatch /t/counted
set /t/counted deeper
removewatches /t
removewatches /nothing
delete /a
delete -v 7 /t/x
delete /t/x
deleteall /a
whoami
config
config -s
create /missing/x
create a
get /nothing
get /a/../b
reconfig -remove 2
close
ls /
quit
`

describeWith([java, javaZooKeeper], 'zkCli', () => {
  test('a piped session prints the same with either server', async () => {
    const [oracle, subject] = await withEach(server => zkCli(server, [], session))

    expect(oracle?.events).toEqual([
      'state:SyncConnected type:None path:null',
      'state:SyncConnected type:NodeDataChanged path:/a',
      'state:SyncConnected type:NodeCreated path:/gone',
      'state:SyncConnected type:NodeChildrenChanged path:/c',
      'state:SyncConnected type:NodeChildrenChanged path:/t',
      'state:SyncConnected type:NodeDataChanged path:/t/counted',
      'state:SyncConnected type:PersistentWatchRemoved path:/t',
    ])
    expect(oracle?.err).toContain('Node not empty: /a')
    expect(subject).toEqual(oracle)
  })

  test('single commands print the same and end with the same exit code', async () => {
    const commands = [
      'create /one data',
      'get -s /one',
      'set -v 3 /one x',
      'ls /',
      'delete /one',
      'get /one',
      'nonsense',
    ]

    const [oracle, subject] = await withEach(async server => {
      const transcripts: Transcript[] = []
      for (const command of commands) {
        const transcript = await zkCli(server, command.split(' '), '')
        // zkCli does not wait for its event thread: whether the connection event is printed before it ends is chance.
        transcripts.push({
          ...transcript,
          events: transcript.events.filter(event => !event.includes('type:None')),
        })
      }
      return transcripts
    })

    expect(oracle?.map(({ code }) => code)).toEqual([0, 0, 1, 0, 0, 1, 127])
    expect(subject).toEqual(oracle)
  })
})

interface Transcript {
  readonly code: number
  readonly out: readonly string[]
  readonly err: readonly string[]
  /**
   * Printed by another thread wherever it happens to be: kept apart. Without the last one, of the session's end: whether
   * that thread comes to print it before the program ends is the machine's choice, with either server.
   */
  readonly events: readonly string[]
}

async function zkCli(server: InteropServer, args: readonly string[], input: string): Promise<Transcript> {
  const child = spawn(shell, ['-server', `127.0.0.1:${server.port}`, ...args], {
    env: { ...childEnvironment(), CLIENT_JVMFLAGS: '-XX:TieredStopAtLevel=1 -XX:+UseSerialGC' },
  })
  child.stdin.end(input)
  const [out, err, code] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    new Promise<number>(resolve => child.once('close', status => resolve(status ?? -1))),
  ])
  const lines = linesOf(out, server)
  return {
    code,
    out: lines.filter(
      line => line !== '' && !line.startsWith('WATCHER::') && !line.startsWith('WatchedEvent'),
    ),
    err: linesOf(err, server).filter(line => !/^SLF4J|^\[|^log4j|ERROR|INFO|^Exiting/.test(line)),
    events: lines
      .filter(line => line.startsWith('WatchedEvent'))
      .map(line => line.replace('WatchedEvent ', ''))
      .filter(event => !event.startsWith('state:Closed')),
  }
}

/** What differs between any two runs is cut out: times, session ids, the port. */
function linesOf(output: string, { port }: InteropServer): string[] {
  return output
    .replaceAll(String(port), 'PORT')
    .replaceAll(/((?:c|m)time = ).*/g, '$1…')
    .replaceAll(/(ephemeralOwner = 0x)[0-9a-f]{2,}/g, '$1…')
    .split('\n')
    .map(line => (line.startsWith('[/') ? sorted(line) : line.trimEnd()))
}

/** getEphemerals prints a set in the order it came in. */
function sorted(line: string): string {
  return line.slice(1, -1).split(', ').sort().join(', ')
}
