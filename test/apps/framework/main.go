// Command framework is a web app on gin with a few hundred packages below it.
// It is configured by envconfig and calls itself through go-retryablehttp, both
// in releases older than the newest.
package main

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/hashicorp/go-retryablehttp"
	"github.com/kelseyhightower/envconfig"
)

type config struct {
	Port  int           `default:"8080"`
	Every time.Duration `default:"250ms" envconfig:"VISIT_EVERY"`
}

type order struct {
	ID    int      `json:"id" binding:"required"`
	Items []string `json:"items"`
}

func main() {
	var cfg config
	if err := envconfig.Process("", &cfg); err != nil {
		log.Fatal(err)
	}

	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	r.Use(gin.Recovery())
	r.GET("/orders", func(c *gin.Context) {
		c.JSON(http.StatusOK, orders(50))
	})
	r.POST("/orders", func(c *gin.Context) {
		var o order
		if err := c.ShouldBindJSON(&o); err != nil {
			c.JSON(http.StatusBadRequest, gin.H{"error": err.Error()})
			return
		}
		c.JSON(http.StatusCreated, o)
	})

	go visit(fmt.Sprintf("http://127.0.0.1:%d/orders", cfg.Port), cfg.Every)
	log.Println("framework listens on port", cfg.Port)
	log.Fatal(r.Run(fmt.Sprintf(":%d", cfg.Port)))
}

func orders(n int) []order {
	list := make([]order, n)
	for i := range list {
		list[i] = order{ID: i + 1, Items: []string{"tea", "coffee", fmt.Sprint("cake ", i)}}
	}
	return list
}

// visit gets url again and again, so that there is something to collect.
func visit(url string, every time.Duration) {
	client := retryablehttp.NewClient()
	client.Logger = nil
	for range time.Tick(every) {
		res, err := client.Get(url)
		if err != nil {
			log.Println("visiting:", err)
			continue
		}
		if _, err := io.Copy(io.Discard, res.Body); err != nil {
			log.Println("visiting:", err)
		}
		res.Body.Close()
	}
}
