//go:build !race

package start

func afterMain() {}
