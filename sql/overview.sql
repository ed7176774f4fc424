-- What the lake holds, by symbol. Reads everything: it names no partition.
SELECT symbol,
       count(*) AS ticks,
       round(avg(price), 2) AS avg_price,
       min(event_time) AS first_tick,
       max(event_time) AS last_tick
FROM ticks
GROUP BY symbol
ORDER BY symbol
