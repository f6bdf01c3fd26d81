"""Parallelism: multiple chefs, each making a dish at the same time; in Python, one process for each.

Output::

    Pasta: done
    Vegetables: done
    Dessert: done
    3 dishes by 3 chefs, none of them in this process: True
"""

import multiprocessing
import os


def cook(dish, kitchen_open, results):
    kitchen_open.wait()  # nobody is done before all have started
    results.put((dish, os.getpid()))


if __name__ == "__main__":
    dishes = ["Pasta", "Vegetables", "Dessert"]
    kitchen_open = multiprocessing.Barrier(len(dishes))
    results = multiprocessing.Queue()
    chefs = [multiprocessing.Process(target=cook, args=(dish, kitchen_open, results)) for dish in dishes]
    for chef in chefs:
        chef.start()
    done = dict(results.get(timeout=30) for _ in dishes)
    for chef in chefs:
        chef.join()
    for dish in dishes:
        print(f"{dish}: {'done' if dish in done else 'missing'}")
    elsewhere = os.getpid() not in done.values()
    print(f"{len(done)} dishes by {len(set(done.values()))} chefs, none of them in this process: {elsewhere}")
