// Command tiny is little to build.
package main

func main() { println("tiny") }
