// What rfo-verify.cjs is made of: rfo-build's own `verify`, and no other command. src/build/script.ts puts it into one file.
import { version } from '../package.json'
import { commandsOf } from '../src/cli/commands.ts'
import { verify } from '../src/cli/verify.ts'
import { main } from '../src/main.ts'

void main(version, commandsOf('node rfo-verify.cjs', { verify: async () => verify }), 'verify')
