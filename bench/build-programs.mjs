// node bench/build-programs.mjs [NAME...]: builds the servers in other languages that the bench then measures beside the hub. They need
// cargo, Maven and Java, or Go.
import { ALL_PROGRAMS, buildProgram } from './lib/programs.mjs'

const names = process.argv.slice(2)
for (const name of names.length > 0 ? names : ALL_PROGRAMS) {
  console.log(name)
  buildProgram(name)
}
