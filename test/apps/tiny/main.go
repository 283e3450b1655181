// Command tiny is quick to build.
package main

func main() { println("tiny") }
