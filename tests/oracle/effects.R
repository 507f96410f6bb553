# Effects of mixed models by lme4, with the delta method written out; run in tests/oracle: Rscript effects.R
suppressPackageStartupMessages({library(lme4); library(jsonlite)})

# a function of the fixed effects, its value and its standard error
delta <- function(model, f) {
  b <- fixef(model); V <- as.matrix(vcov(model)); value <- f(b)
  h <- 1e-6 * pmax(1, abs(b))
  J <- sapply(seq_along(b), function(k) { e <- replace(b * 0, k, h[k]); (f(b + e) - f(b - e)) / (2 * h[k]) })
  J <- matrix(J, nrow = length(value))
  list(estimate = unname(value), std_error = sqrt(diag(J %*% V %*% t(J))))
}
columns <- function(model, data) model.matrix(delete.response(terms(model, fixed.only = TRUE)), data,
  contrasts.arg = attr(getME(model, "X"), "contrasts"))
found <- list()

chicks <- read.csv("data/ChickWeight.csv"); chicks$Diet <- factor(chicks$Diet)
m <- lmer(weight ~ Time + I(Time^2) + Diet * Time + (1 | Chick), chicks)
slope <- function(d) { e <- 1e-4; (columns(m, transform(d, Time = Time + e)) - columns(m, transform(d, Time = Time - e))) / (2 * e) }
grid <- expand.grid(Diet = levels(chicks$Diet), Time = c(0, 10, 21))
found$chick_slopes <- delta(m, function(b) drop(slope(grid) %*% b))
found$chick_avg_slope <- delta(m, function(b) mean(slope(chicks) %*% b))
found$chick_by_diet <- delta(m, function(b) tapply(drop(columns(m, chicks) %*% b), chicks$Diet, mean))
at <- function(d) { own <- chicks; own$Diet <- factor(d, levels = levels(chicks$Diet)); columns(m, own) }
found$chick_diet <- delta(m, function(b) sapply(c("2", "3", "4"), function(d) mean((at(d) - at("1")) %*% b)))

cbpp <- read.csv("data/cbpp.csv"); cbpp$period <- factor(cbpp$period); cbpp$herd <- factor(cbpp$herd)
g <- glmer(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, family = binomial,
  control = glmerControl(optimizer = "bobyqa", tolPwrss = 1e-10))
p <- function(d, b) { own <- cbpp; if (!is.null(d)) own$period <- factor(d, levels = levels(cbpp$period)); plogis(drop(columns(g, own) %*% b)) }
found$cbpp_avg <- delta(g, function(b) mean(p(NULL, b)))
found$cbpp_difference <- delta(g, function(b) sapply(c("2", "3", "4"), function(d) mean(p(d, b) - p("1", b))))
found$cbpp_ratio <- delta(g, function(b) sapply(c("2", "3", "4"), function(d) mean(p(d, b)) / mean(p("1", b))))
found$cbpp_lnor <- delta(g, function(b) sapply(c("2", "3", "4"), function(d) qlogis(mean(p(d, b))) - qlogis(mean(p("1", b)))))

ticks <- read.csv("data/grouseticks.csv"); ticks$YEAR <- factor(ticks$YEAR)
ticks$cHEIGHT <- ticks$HEIGHT / 100 - 4.6
t <- glmer(TICKS ~ YEAR + cHEIGHT + (1 | BROOD), ticks, family = poisson, control = glmerControl(optimizer = "bobyqa", tolPwrss = 1e-10))
X <- columns(t, ticks)
found$ticks_slope <- delta(t, function(b) mean(exp(drop(X %*% b)) * b["cHEIGHT"]))
found$ticks_by_year <- delta(t, function(b) tapply(exp(drop(X %*% b)) * b["cHEIGHT"], ticks$YEAR, mean))
sd <- sd(ticks$cHEIGHT); mean <- base::mean; centre <- mean(ticks$cHEIGHT)
to <- function(v) { own <- ticks; own$cHEIGHT <- v; columns(t, own) }
found$ticks_sd <- delta(t, function(b) mean(exp(drop(to(centre + sd / 2) %*% b)) - exp(drop(to(centre - sd / 2) %*% b))))
write_json(found, "effects.json", digits = 12, auto_unbox = TRUE)
