module example.com/reports

go 1.18

require github.com/heroku/x v0.0.50
