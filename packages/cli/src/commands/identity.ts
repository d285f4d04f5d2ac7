/** Commands about who one is. */
import { nothing } from '../result.ts'
import { type Command, operand } from './command.ts'

const addAuth: Command = {
  name: 'addauth',
  syntax: 'scheme auth',
  about: 'Authenticates this session, for example `addauth digest user:password`.',
  options: [],
  operands: 1,
  async run({ client, signal }, args) {
    await client.addAuth(operand(args, 0), args.operands[1] ?? null, { signal })
    return nothing
  },
}

const whoAmI: Command = {
  name: 'whoami',
  syntax: '',
  about: 'Prints who the server takes this session for.',
  options: [],
  operands: 0,
  async run({ client, signal }) {
    return { kind: 'identities', identities: await client.whoAmI({ signal }) }
  },
}

export const identityCommands: readonly Command[] = [addAuth, whoAmI]
