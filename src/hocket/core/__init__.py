"""The engine: what is ready, what is due, and the objects that wait.

It does no I/O, reads no clock and draws no random number: all of that comes from the loop's driver
(`hocket.core.driver`).  From the ground up: `ready`, `handles`, `timers`, `driver`, `scheduler`, `future`, `task`,
`engine`.
"""
