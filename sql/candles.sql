-- Candles of a minute of one symbol over the last 24 hours of event time (UTC), from the curated hours.
--
-- The symbol is the one with the most ticks. For another one, replace the subquery by its name: 'NVDA'.
-- Two rows of bars_1m can be of the same minute: open is that of the first tick, close that of the last.
-- dt and hr prune by the Kafka timestamp, from an hour before the time that is asked for: clocks differ.
WITH bars AS (
  SELECT *
  FROM bars_1m
  WHERE dt >= substr(CAST(CAST(current_timestamp AT TIME ZONE 'UTC' AS timestamp) - interval '25' hour AS varchar), 1, 10)
    AND dt || ' ' || hr >= substr(CAST(CAST(current_timestamp AT TIME ZONE 'UTC' AS timestamp) - interval '25' hour AS varchar), 1, 13)
    AND minute > CAST(current_timestamp AT TIME ZONE 'UTC' AS timestamp) - interval '24' hour
    AND minute <= CAST(current_timestamp AT TIME ZONE 'UTC' AS timestamp)
)
SELECT minute,
       symbol,
       min_by(open, ROW(first_time, first_partition, first_offset)) AS open,
       max(high) AS high,
       min(low) AS low,
       max_by(close, ROW(last_time, last_partition, last_offset)) AS close,
       sum(volume) AS volume,
       sum(turnover) / nullif(sum(volume), 0) AS vwap,
       sum(ticks) AS ticks
FROM bars
WHERE symbol = (SELECT symbol FROM bars GROUP BY symbol ORDER BY sum(ticks) DESC, symbol LIMIT 1)
GROUP BY minute, symbol
ORDER BY minute
