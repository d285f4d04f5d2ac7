import { expect, test } from 'vitest'
import { notRunText } from './not-run-report.ts'

const java = 'a Java runtime is not installed; apt-get install default-jre-headless'

test('names what was not run, each reason once, and one line that installs it all', () => {
  const text = notRunText([
    { name: 'a.test.ts: zkCli', reason: java },
    { name: 'b.test.ts: kazoo', reason: `${java}; kazoo is not installed; apt-get install python3-kazoo` },
    { name: 'c.test.ts: disks', reason: 'nothing can be mounted here' },
  ])

  expect(text.split('\n').map(line => line.trim())).toEqual([
    '',
    'NOT RUN:',
    'a.test.ts: zkCli',
    'b.test.ts: kazoo',
    'c.test.ts: disks',
    'because',
    'a Java runtime is not installed',
    'kazoo is not installed',
    'nothing can be mounted here',
    'To run them:  apt-get install default-jre-headless python3-kazoo',
    '',
    '',
  ])
})

test('says nothing when everything was run', () => {
  expect(notRunText([])).toBe('')
})
