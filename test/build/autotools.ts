/** A C library with configure and make, as small as it can be. */
import { AutotoolsBuild } from '../../src/plan/library.ts'

/** As small as autotools' output can be: what configure is told decides the compiler, and make does not run it again. */
export const files = {
  configure: `#!/bin/sh
set -e
for each; do case "$each" in --host=*) host=\${each#--host=};; --prefix=*) prefix=\${each#--prefix=};; esac; done
echo "host $host, $CC \${CPPFLAGS-no CPPFLAGS}"
sed "s|@CC@|$CC|;s|@CFLAGS@|$CFLAGS|" Makefile.in >src/Makefile
printf 'prefix=%s\\nlibdir=\${prefix}/lib\\n\\nName: say\\nDescription: x\\nVersion: 1\\nCflags: -I\${prefix}/include\\nLibs: -L\${libdir} -lsay\\n' "$prefix" >say.pc
`,
  'configure.ac': 'older than configure, or autoconf would be asked for\n',
  'Makefile.in': `libsay.a: say.o
\tar crD libsay.a say.o
say.o: say.c ../configure
\t@CC@ @CFLAGS@ -c say.c
../configure: ../configure.ac
\tautoconf-that-nobody-has
`,
  'src/say.c': '#include "../say.h"\nconst char *say(void) { return WORDS __FILE__; }\n',
  'say.h': '#define WORDS "one "\nconst char *say(void);\n',
}
export const build = AutotoolsBuild.parse({
  kind: 'autotools',
  folder: 'src',
  targets: ['libsay.a'],
  files: [
    { from: 'say.h', path: '/usr/include/say.h' },
    { from: 'src/libsay.a', path: '/usr/lib/libsay.a' },
    { from: 'say.pc', path: '/usr/lib/pkgconfig/say.pc' },
  ],
})
