import { describe, expect, test } from 'bun:test'
import { parseTemplate, renderTemplate } from './template.ts'

const VALUE = { name: 'app', size: 12, none: null, config: { os: 'linux' }, tags: ['v1', 'v2'] }
const render = (text: string, value: unknown = VALUE) => renderTemplate(parseTemplate(text), value)

describe('a template', () => {
  test.each<[string, string, string]>([
    ['is text', 'as it is', 'as it is'],
    ['shows fields, whatever their capitals', '{{.Name}} has {{ .size }}', 'app has 12'],
    ['shows fields of fields', '{{.Config.OS}}', 'linux'],
    ['shows what is empty as nothing', '<{{.None}}>', '<>'],
    ['writes JSON', '{{json .Config}}', '{"os":"linux"}'],
    ['goes through a list', '{{range .Tags}}{{println .}}{{end}}', 'v1\nv2\n'],
    ['goes through nothing', '{{range .None}}x{{end}}', ''],
    ['knows the signs for a line and a tab, as docker', '{{.Name}}\\t{{.Size}}\\n', 'app\t12\n'],
  ])('%s', (_, text, expected) => {
    expect(render(text)).toBe(expected)
  })

  test('has a list in a list', () => {
    expect(render('{{range .}}[{{range .}}{{.}},{{end}}]{{end}}', [[1, 2], [3]])).toBe('[1,2,][3,]')
  })

  test.each([
    ['{{if .Name}}x{{end}}', '{{if .Name}} is not supported'],
    ['{{.Name | upper}}', '{{.Name | upper}} is not supported'],
    ['{{printf "%s" .Name}}', '{{printf "%s" .Name}} is not supported'],
    ['{{name}}', '{{name}} is not supported'],
    ['{{}}', '{{}} is not supported'],
    ['{{.Name', 'a {{ has no }}'],
    ['{{range .Tags}}x', 'a {{range}} has no {{end}}'],
    ['{{end}}', 'an {{end}} has no {{range}}'],
    ['{{.Nmae}}', 'there is no field Nmae'],
    ['{{.Name.First}}', 'there is no field First'],
    ['{{range .Name}}x{{end}}', '{{range .Name}} needs a list'],
  ])('%s is refused', (text, reason) => {
    expect(() => render(text)).toThrow(`--format: ${reason}`)
  })
})
