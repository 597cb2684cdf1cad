import { expect, test } from 'bun:test'
import { instructionOf } from './instruction.ts'

const HASH = 'a'.repeat(64)

test.each([
  ['/bin/sh -c #(nop)  CMD ["bash"]', 'CMD ["bash"]'],
  [`/bin/sh -c #(nop) ADD file:${HASH} in / `, 'ADD <files> /'],
  [`/bin/sh -c #(nop) COPY multi:${HASH} in /usr/local/bin/ `, 'COPY <files> /usr/local/bin/'],
  ['/bin/sh -c apt-get update && \t\tapt-get install -y x', 'RUN apt-get update && \\\n    apt-get install -y x'],
  ['RUN /bin/sh -c make # buildkit', 'RUN make'],
  ['RUN |1 VERSION=1 2 /bin/sh -c make $VERSION # buildkit', 'RUN make $VERSION'],
  ['|1 VERSION=1 /bin/sh -c make', 'RUN make'],
  ['COPY app /app # buildkit', 'COPY app /app'],
  ['EXPOSE map[80/tcp:{} 443/tcp:{}]', 'EXPOSE 80/tcp 443/tcp'],
  ['/bin/sh -c #(nop)  EXPOSE 5000', 'EXPOSE 5000'],
  ['RUN /bin/sh -c set -e\nmake\n# buildkit', 'RUN <<EOF\nset -e\nmake\nEOF'],
  ['/bin/sh -c cat <<EOF\na\nEOF', 'RUN <<END_OF_RUN\ncat <<EOF\na\nEOF\nEND_OF_RUN'],
  ['bazel build //app\nFROM evil', '# bazel build //app\n# FROM evil'],
  ['ENV A=1\nFROM evil', 'ENV A=1 FROM evil'],
])('%p becomes %p', (command, expected) => {
  expect(instructionOf(command)).toBe(expected)
})
