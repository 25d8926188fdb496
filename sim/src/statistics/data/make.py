"""Prints published.txt: the numbers of published packages that the tests compare with.

pip install scipy==1.17.1 statsmodels==0.15.0 lifelines==0.30.3
"""

import math

import numpy
import scipy
import statsmodels
from lifelines import KaplanMeierFitter, __version__ as lifelines_version
from scipy import special, stats
from statsmodels.stats.multitest import multipletests

print(f"# SciPy {scipy.__version__}, statsmodels {statsmodels.__version__}, lifelines {lifelines_version}; printed by make.py.")
print("# name, results, colon, arguments")


def row(name, results, arguments):
    results = " ".join(repr(float(x)) for x in results)
    print(f"{name} {results} : {' '.join(repr(float(x)) for x in arguments)}")


for a in (0.5, 1, 3.5, 20, 499.5, 12345):
    for b in (0.5, 2, 33):
        for x in (1e-6, 0.05, 0.5, 0.9, 0.9999):
            row("incomplete_beta", [special.betainc(a, b, x)], [a, b, x])
for df in (1, 2, 3, 4, 5, 9, 10, 19, 29, 99, 999, 100000):
    row("t_critical", [stats.t.ppf(0.975, df)], [df])
    for t in (0.01, 0.7, 2, 4.5, 12):
        row("t_two_sided", [2 * stats.t.sf(t, df)], [df, t])
for z in (0, 0.3, 1.96, 4, 8):
    row("normal_two_sided", [2 * stats.norm.sf(z)], [z])
for n, k in ((5, 1), (20, 5), (20, 6), (101, 40), (1000, 470), (200001, 99600)):
    row("fair_coins_at_most", [stats.binom.cdf(k, n, 0.5)], [k, n])
for k, n in ((0, 1), (1, 1), (7, 20), (20, 20), (199, 200), (50, 100000)):
    interval = stats.binomtest(k, n).proportion_ci(method="wilson")
    row("proportion", [interval.low, interval.high], [k, n])

random = numpy.random.default_rng(20261127)
samples = [numpy.round(random.lognormal(3, 1, n), 3) for n in (2, 3, 6, 10, 20, 31, 100)]
for sample in samples:
    interval = stats.ttest_1samp(sample, 0).confidence_interval(0.95)
    row("mean", [sample.mean(), sample.var(ddof=1), interval.low, interval.high], sample)
for sample in samples[2:]:
    interval = stats.quantile_test(sample, q=0, p=0.5).confidence_interval(0.95)
    row("median_interval", [interval.low, interval.high], sample)

for n in (2, 5, 10, 30):
    base = random.lognormal(3, 1, n)
    other = numpy.round(base * random.lognormal(0.1, 0.3, n), 3)
    base = numpy.round(base, 3)
    result = stats.ttest_rel(numpy.log(other), numpy.log(base))
    interval = result.confidence_interval(0.95)
    unpaired = numpy.var(numpy.log(other), ddof=1) + numpy.var(numpy.log(base), ddof=1)
    won = unpaired / numpy.var(numpy.log(other) - numpy.log(base), ddof=1)
    center = math.exp(numpy.mean(numpy.log(other) - numpy.log(base)))
    row("log_ratios", [center, math.exp(interval.low), math.exp(interval.high), won], [*base, *other])
    other[0] = 0
    interval = stats.ttest_rel(other, base).confidence_interval(0.95)
    won = (other.var(ddof=1) + base.var(ddof=1)) / (other - base).var(ddof=1)
    ends = [1 + interval.low / base.mean(), 1 + interval.high / base.mean()]
    row("means", [other.mean() / base.mean(), *ends, won], [*base, *other])

# Without ties exact; with ties all permutations of signs; many: normal, corrected.
for n in (1, 5, 9, 15, 20, 25):
    d = numpy.round(random.normal(0.4, 1, n), 6)
    result = stats.wilcoxon(d, method="exact")
    row("signed_rank", [result.statistic, result.pvalue], d)
for n in (4, 8, 12):
    d = random.integers(-2, 5, n)
    d = d[d != 0]
    result = stats.wilcoxon(d, method=stats.PermutationMethod(n_resamples=2**13))
    row("signed_rank", [result.statistic, result.pvalue], d)
for n in (26, 40, 200):
    d = numpy.round(random.normal(0.3, 1, n), 6)
    result = stats.wilcoxon(d, method="asymptotic", correction=True)
    row("signed_rank", [result.statistic, result.pvalue], d)
    d = random.integers(-4, 7, 2 * n)
    result = stats.wilcoxon(d, method="asymptotic", correction=True)
    row("signed_rank", [result.statistic, result.pvalue], d)
# The plants of Darwin in the documentation of scipy.stats.wilcoxon: W = 24, p = 0.041259765625.
d = [6, 8, 14, 16, 23, 24, 28, 29, 41, -48, 49, 56, 60, -67, 75]
result = stats.wilcoxon(d)
row("signed_rank", [result.statistic, result.pvalue], d)

# Cliff's delta is 2 U / (n m) - 1.
for n, m in ((5, 5), (10, 7), (30, 30)):
    x, y = random.integers(0, 12, n), random.integers(2, 12, m)
    u = stats.mannwhitneyu(x, y).statistic
    row("cliffs_delta", [2 * u / (n * m) - 1], [n, *x, *y])

for n in (1, 2, 5, 36):
    p = numpy.round(random.beta(0.5, 3, n), 6)
    row("holm", multipletests(p, method="holm")[1], p)

# Arguments: lengths, negative where censored. Results: p5, p50, p90, then the estimate at 5, 20, 60.
for n in (1, 10, 60, 300):
    lengths = random.integers(1, 90, n)
    ended = random.random(n) < 0.7
    fitter = KaplanMeierFitter().fit(lengths, ended)
    quantiles = [fitter.percentile(1 - level) for level in (0.05, 0.5, 0.9)]
    curve = [fitter.predict(t) for t in (5, 20, 60)]
    row("kaplan_meier", [*quantiles, *curve], numpy.where(ended, lengths, -lengths))
