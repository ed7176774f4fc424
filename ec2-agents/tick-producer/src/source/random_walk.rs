use tick::{EventTime, Symbol, Tick};

use crate::config::SyntheticSettings;

/// Number of ticks in a symbol's candle before the next one opens.
const TICKS_PER_CANDLE: u32 = 60;

/// A seeded random walk over symbols, in turn. The same seed gives the same prices. Event
/// times come from the clock.
pub(crate) struct RandomWalk {
    random: fastrand::Rng,
    markets: Vec<Market>,
    made: u64,
    total: Option<u64>,
}

/// One symbol's candle so far.
struct Market {
    symbol: Symbol,
    price: f64,
    open: f64,
    high: f64,
    low: f64,
    ticks: u32,
}

impl RandomWalk {
    pub(crate) fn new(config: &SyntheticSettings) -> Self {
        let mut random = fastrand::Rng::with_seed(config.seed);
        let mut market = |symbol: &Symbol| {
            let price = cents(20.0 + 480.0 * random.f64());
            Market {
                symbol: symbol.clone(),
                price,
                open: price,
                high: price,
                low: price,
                ticks: 0,
            }
        };
        let markets = config.symbols.0.iter().map(&mut market).collect();
        Self {
            random,
            markets,
            made: 0,
            total: config.rows,
        }
    }

    pub(crate) fn next(&mut self) -> Option<Tick> {
        if self.total.is_some_and(|total| self.made >= total) {
            return None;
        }
        let place = (self.made % self.markets.len() as u64) as usize;
        self.made += 1;
        let market = &mut self.markets[place];
        // Up or down by at most half a percent, and never down to zero.
        market.price = cents(market.price * (1.0 + 0.01 * (self.random.f64() - 0.5))).max(0.01);
        if market.ticks == TICKS_PER_CANDLE {
            market.open = market.price;
            market.high = market.price;
            market.low = market.price;
            market.ticks = 0;
        }
        market.ticks += 1;
        market.high = market.high.max(market.price);
        market.low = market.low.min(market.price);
        Some(Tick {
            symbol: market.symbol.clone(),
            event_time: EventTime::now(),
            price: market.price,
            volume: Some(self.random.u32(1..=1000).into()),
            open: Some(market.open),
            high: Some(market.high),
            low: Some(market.low),
            close: Some(market.price),
            extra: None,
        })
    }

    pub(crate) fn made(&self) -> u64 {
        self.made
    }

    pub(crate) fn total(&self) -> Option<u64> {
        self.total
    }
}

fn cents(price: f64) -> f64 {
    (price * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticks(seed: u64) -> Vec<Tick> {
        let mut walk = RandomWalk::new(&SyntheticSettings {
            rows: Some(5000),
            seed,
            ..SyntheticSettings::default()
        });
        std::iter::from_fn(|| walk.next()).collect()
    }

    #[test]
    fn candles_hold_their_prices() {
        let ticks = ticks(1);
        assert_eq!(ticks.len(), 5000);
        for tick in &ticks {
            let open = tick.open.unwrap_or(f64::NAN);
            let high = tick.high.unwrap_or(f64::NAN);
            let low = tick.low.unwrap_or(f64::NAN);
            let close = tick.close.unwrap_or(f64::NAN);
            assert!(
                high >= open.max(close).max(tick.price)
                    && low <= open.min(close).min(tick.price)
                    && low > 0.0,
                "{tick:?}"
            );
        }
    }

    #[test]
    fn the_seed_decides_the_prices() {
        let prices = |seed| {
            ticks(seed)
                .iter()
                .map(|tick| tick.price)
                .collect::<Vec<_>>()
        };
        assert_eq!(prices(7), prices(7));
        assert_ne!(prices(7), prices(8));
    }
}
