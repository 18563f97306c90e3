export { version } from '#native'
