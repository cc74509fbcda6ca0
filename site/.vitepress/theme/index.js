import DefaultTheme from 'vitepress/theme-without-fonts'
import '@fontsource-variable/geist'
import '@fontsource-variable/geist-mono'
import './style.css'

export default DefaultTheme
