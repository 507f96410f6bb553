# Makes messy.csv and means.json: Rscript --vanilla means.R, in a minute.
suppressMessages({library(lme4);library(emmeans);library(lmerTest);library(ordinal);library(jsonlite)})
emm_options(lmer.df="satterthwaite", msg.nesting=FALSE)
set.seed(41)
n <- 240
d <- data.frame(g=sample(1:12,n,TRUE))
d$N <- sample(letters[1:7], n, TRUE, prob=c(3,2,2,1,3,2,2))
d$A <- c(a="p",b="p",c="p",d="q",e="q",f="r",g="r")[d$N]
d$M <- paste0(d$A, sample(1:3,n,TRUE,prob=c(3,2,1)))           # also within A
d$C <- paste0(d$N, sample(1:2,n,TRUE))                          # within N within A
d <- d[!(d$M=="p3" & d$N=="a"),]; n <- nrow(d)
d$b <- sample(c("u","v","w"),n,TRUE,prob=c(.5,.3,.2)); d$copy <- c(p="one",q="two",r="three")[d$A]
d$z <- sample(0:1,n,TRUE,prob=c(.7,.3)); d$two <- ifelse(d$A=="q",2,5)
d$x <- round(rgamma(n,3),3); d$e <- round(rlnorm(n,1,.6),3); d$o <- round(log(d$e),4)
d$hole <- ifelse(d$A=="r" & d$b=="w", "yes","no")
eta <- as.numeric(factor(d$A))*.3 + as.numeric(factor(d$N))*.05 + .3*(d$b=="v") + .2*log(d$x) + rnorm(12,0,.5)[d$g]
d$y <- round(eta + rnorm(n,0,.8),4)
d$count <- rpois(n, exp(-.5+eta)*d$e/2)
d$s <- rbinom(n, 5, plogis(eta-1)); d$f <- 5-d$s
d$rating <- c("poor","fair","good","best")[findInterval(eta+rlogis(n), c(.2,1.2,2.4))+1]
write.csv(d, "data/messy.csv", row.names=FALSE, quote=FALSE)
for (v in c("N","A","M","C","b","copy")) d[[v]] <- factor(d[[v]])
d$rating <- factor(d$rating, c("poor","fair","good","best"), ordered=TRUE)
out <- list()
add <- function(name, model, formula, specs, holed=FALSE, at=NULL, offset=NULL, contrasts=NULL, family=NULL, ...) {
  r <- if (is.null(offset)) emmeans(model, specs, at=at) else emmeans(model, specs, at=at, offset=offset)
  t <- as.data.frame(summary(r, infer=c(TRUE,FALSE)))
  keys <- setdiff(names(t), c("emmean","rate","prob","SE","df","lower.CL","upper.CL","asymp.LCL","asymp.UCL"))
  out[[length(out)+1]] <<- list(name=name, formula=formula, family=family, contrasts=contrasts, holed=holed, specs=specs, at=at, offset=offset, keys=keys,
     rows=lapply(seq_len(nrow(t)), function(i) list(values=lapply(keys, function(k) if (is.factor(t[[k]])) as.character(t[[k]][i]) else t[[k]][i]), emmean=t[i,"emmean"], SE=t$SE[i], df=if(is.finite(t$df[i])) t$df[i] else NA)))
}
h <- droplevels(d[d$hole=="no",])
ctl <- lmerControl(optimizer="bobyqa", optCtrl=list(rhobeg=1e-3, rhoend=1e-9, maxfun=1e5))
L <- function(f, data=d) suppressMessages(lmer(as.formula(f), data, control=ctl))
lm_cases <- list(
 list("y ~ A * N + x + (1 | g)", list("A","N",c("A","N"))),
 list("y ~ A + A:N + b + (1 | g)", list("A","N","b",c("b","N"))),
 list("y ~ A / N + (1 | g)", list("A","N")),
 list("y ~ A + N + z + (1 | g)", list("A","N","z")),
 list("y ~ A * b / N + (1 | g)", list("A","b")),
 list("y ~ b / A + (1 | g)", list("b","A")),
 list("y ~ A / N / C + (1 | g)", list("A","N","C")),
 list("y ~ A + N + M + (1 | g)", list("A","N","M")),
 list("y ~ A + copy + b + (1 | g)", list("A","copy","b")),
 list("y ~ A * z + two + (1 | g)", list("A","z","two")),
 list("y ~ A * z + x + (1 | g)", list("A","z",c("A","z"))),
 list("y ~ b + poly(x, 2) + log(e) + (1 | g)", list("b")),
 list("y ~ b + x + I(x^2) + (1 | g)", list("b")),
 list("y ~ b * z + offset(z) + (1 | g)", list("b"))
)
for (cs in lm_cases) { m <- L(cs[[1]]); for (s in cs[[2]]) add("lmer", m, cs[[1]], s) }
m <- L("y ~ A * b + (1 | g)", h); for (s in list("A","b",c("A","b"))) add("lmer", m, "y ~ A * b + (1 | g)", s, holed=TRUE)
m <- L("y ~ A * z + x + (1 | g)"); add("lmer", m, "y ~ A * z + x + (1 | g)", "A", at=list(z=c(0,.5,1)))
m <- L("y ~ b + offset(log(e)) + (1 | g)"); add("lmer", m, "y ~ b + offset(log(e)) + (1 | g)", "b", offset=0)
gc <- glmerControl(optimizer="bobyqa", tolPwrss=1e-12, optCtrl=list(rhobeg=1e-3, rhoend=1e-9, maxfun=1e5))
G <- function(f, fam, data=d) glmer(as.formula(f), data, family=fam, control=gc)
f <- "count ~ b + offset(log(e)) + (1 | g)"; m <- G(f, poisson); add("glmer", m, f, "b", family="poisson", offset=0)
f <- "count ~ A / N + z + (1 | g)"; m <- G(f, poisson); for (s in list("A","N")) add("glmer", m, f, s, family="poisson")
f <- "cbind(s, f) ~ A * b + x + (1 | g)"; m <- G(f, binomial, h); for (s in list("A","b",c("A","b"))) add("glmer", m, f, s, family="binomial", holed=TRUE)
O <- function(f, data=d, ...) clmm(as.formula(f), data, control=clmm.control(gradTol=1e-8, maxIter=200), ...)
f <- "rating ~ A + x + (1 | g)"
for (co in c("contr.treatment","contr.sum","contr.helmert")) { dd <- d; contrasts(dd$A) <- get(co)(3); m <- O(f, dd); add("clmm", m, f, "A", family="cumulative", contrasts=co) }
f <- "rating ~ A * b + (1 | g)"; m <- O(f); for (s in list("A","b",c("A","b"))) add("clmm", m, f, s, family="cumulative")
f <- "rating ~ A + z + (1 | g)"; m <- O(f); for (s in list("A","z")) add("clmm", m, f, s, family="cumulative")
cases <- vapply(out, toJSON, "", auto_unbox=TRUE, digits=12, na="null", null="null")
writeLines(c("[", paste(cases, collapse=",\n"), "]"), "means.json")
