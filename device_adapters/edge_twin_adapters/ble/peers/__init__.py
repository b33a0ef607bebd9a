"""Virtual sensors of every profile, on the virtual radio, in simulated time.

:func:`edge_twin_adapters.ble.peers.catalogue.make_sensor` makes one by name; it measures by itself, keeps
account of every record (:mod:`ledger`) and has faults injected as data (:mod:`faults`)::

    time = SimulatedTime(start)
    async with VirtualRadio() as radio:
        sensor = make_sensor("cgm", radio, time, seed=1)
        await sensor.begin()
        await time.run(3600)

They need the extra that brings Bumble; nothing here is imported by the rest of the package.
"""
