// Command onload imports and forgets.
package main

import _ "github.com/heroku/x/hmetrics/onload"

func main() { select {} }
