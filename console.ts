export { type ConsoleUiOptions, consoleUi } from './plugins/console-ui.ts'
