# SPDX-License-Identifier: MIT
"""Commands for gdb-multiarch at a stopped NEURON: nx-hart, nx-tasks, nx-runq, nx-pt, nx-log (docs/debugging.md).

They read memory by the types in the kernel's debug information and never call into it. What a hart is in the middle of
changing may look half changed.
"""
import re
import struct

import gdb

PHYSMAP = 0xffffffc000000000
PAGE = 4096
CLASSES = ("idle", "normal", "interactive", "perfburst")
# In the order of RunState, TaskState and Presence.
RUN_STATES = ("running", "blocking", "woken", "blocked", "ready", "dead")
PRESENCE = ("absent", "online", "leaving", "offline")
PTE_FLAGS = "VRWXUGAD"
MODE_SV39 = 8


def evaluate(expression):
    return gdb.parse_and_eval(expression)


def read(address, count):
    return gdb.selected_inferior().read_memory(address, count).tobytes()


def word(address):
    return struct.unpack("<Q", read(address, 8))[0]


def number(value):
    """A plain integer of a number, an enumerator, an atomic, a SeqLocked's word or a strong type around one."""
    kind = value.type.strip_typedefs()
    while kind.code in (gdb.TYPE_CODE_STRUCT, gdb.TYPE_CODE_UNION):
        value = value[next(field for field in kind.fields() if hasattr(field, "bitpos") and field.type.sizeof > 0)]
        kind = value.type.strip_typedefs()
    return int(value)


def text(value):
    """The characters of an std::array of them, or of one held in two words, up to the first zero."""
    raw = read(int(value.address), value.type.strip_typedefs().sizeof)
    return raw.split(b"\0")[0].decode("utf-8", "replace")


def element(array, index):
    """array[index] of an std::array."""
    return array["_M_elems"][index]


def static(name, symbol):
    """A variable in an unnamed namespace. Other units of an image that was optimised as a whole may have it, too, and there
    without a place."""
    whole = f"{name}::(anonymous namespace)::{symbol}"
    for found in gdb.lookup_static_symbols(whole):
        value = found.value()
        if value.address is not None:
            return value
    return evaluate(f"'{whole}'")


def possible_cpus():
    mask = number(static("kernel::task", "started_mask"))
    return [cpu for cpu in range(64) if mask >> cpu & 1]


def hart(cpu):
    return element(evaluate("'kernel::task::harts'"), cpu)


def cpu_local(cpu):
    return element(evaluate("'kernel::arch::cpu_locals'"), cpu)


def task_of(entity_address):
    """The Task around an entity."""
    kind = gdb.lookup_type("kernel::task::Task")
    offset = next(field.bitpos // 8 for field in kind.fields() if field.name == "entity")
    return gdb.Value(entity_address - offset).cast(kind.pointer()).dereference()


def tasks():
    """All tasks, by id."""
    chunks = static("kernel::task", "chunks")
    kind = gdb.lookup_type("kernel::task::Task").pointer()
    for index in range(chunks.type.strip_typedefs().sizeof // 8):
        chunk = int(element(chunks, index))
        if chunk == 0:
            continue
        for address in struct.unpack(f"<{PAGE // 8}Q", read(chunk, PAGE)):
            if address:
                yield gdb.Value(address).cast(kind).dereference()


def name_of(task):
    return text(task["name_"])


def tree(root, node):
    """The items of an AvlTree in order. `node`: the name of its AvlNode member."""
    below, item = [], int(root)
    kind = root.type
    while below or item:
        while item:
            value = gdb.Value(item).cast(kind).dereference()
            below.append(value)
            item = int(value[node]["left_"])
        value = below.pop()
        yield value
        item = int(value[node]["right_"])


def describe(task):
    return f"{name_of(task)} (tid {number(task['tid_'])})"


class Supervisor:
    """QEMU translates addresses with the rights of the selected hart, and in user mode it has none to the kernel's: that
    hart is in supervisor mode for as long as a command reads."""

    def __enter__(self):
        self.was = None
        if gdb.selected_thread() is None:
            return  # no target: the commands say so themselves
        mode = gdb.parse_and_eval("$priv")
        if mode.type.code != gdb.TYPE_CODE_VOID and int(mode) == 0:
            self.was = int(mode)
            gdb.execute("set $priv = 1", to_string=True)

    def __exit__(self, *_):
        if self.was is not None:
            gdb.execute(f"set $priv = {self.was}", to_string=True)


def places():
    """Where each hart's pc is, by hart, when the target's threads are QEMU's harts."""
    before = gdb.selected_thread()
    told = {}
    for thread in gdb.selected_inferior().threads():
        thread.switch()
        pc = int(gdb.parse_and_eval("$pc")) & (1 << 64) - 1
        where = gdb.find_pc_line(pc)
        function = gdb.block_for_pc(pc)
        while function is not None and function.function is None:
            function = function.superblock
        text_of_it = f"pc {pc:#x}"
        if function is not None:
            text_of_it += f" {function.function.print_name}"
        if where.symtab is not None:
            text_of_it += f" {re.sub(r'^.*/[.][.]/', '', where.symtab.filename)}:{where.line}"
        told[thread.num - 1] = text_of_it
    if before is not None:
        before.switch()
    return told


class Command(gdb.Command):
    """A command whose documentation is its help."""

    def __init__(self):
        super().__init__(self.name, gdb.COMMAND_DATA)

    def invoke(self, argument, _from_tty):
        try:
            with Supervisor():
                self.run(gdb.string_to_argv(argument))
        except gdb.error as why:
            raise gdb.GdbError(f"{self.name}: {why}") from why


class Harts(Command):
    """nx-hart [CPU]
What each CPU is at: its hart, presence, task, runnable tasks, interrupts pending by other harts; and where its pc is, when
QEMU is the target."""
    name = "nx-hart"

    def run(self, arguments):
        cpus = [int(argument, 0) for argument in arguments] or possible_cpus()
        where = places()
        idle = number(evaluate("'kernel::task::idle_cpus'"))
        for cpu in cpus:
            at = hart(cpu)
            number_of_hart = number(cpu_local(cpu)["hart"])
            current = at["current"]
            runs = describe(current.dereference()) if int(current) else ("sleeps" if idle >> cpu & 1 else "no task")
            print(f"cpu {cpu} hart {number_of_hart} {PRESENCE[number(at['presence'])]}: {runs}, "
                  f"{number(at['queue']['runnable_'])} runnable, {number(at['queue']['switches_'])} switches, ipi pending "
                  f"{number(at['ipi_pending'])}, {where.get(number_of_hart, 'pc not known')}")


class Tasks(Command):
    """nx-tasks
All tasks: ids, name, state, class, shares, the CPU they are at home on, the CPUs they may use, and where in their program
they entered the kernel last."""
    name = "nx-tasks"

    def run(self, _arguments):
        print("  tid   pid name             state    class       shares cpu mask               pc")
        for task in tasks():
            entity = task["entity"]
            attributes = entity["attributes"]
            pid = number(task["process_"]["object_"].dereference()["pid_"])
            print(f"{number(task['tid_']):5} {pid:5} {name_of(task):16} {RUN_STATES[number(task['run_state'])]:8} "
                  f"{CLASSES[number(entity['effective_'])]:11} {number(attributes['shares']):6} {number(task['home_']):3} "
                  f"{number(attributes['affinity_effective']):#018x} {number(task['frame']['pc']):#x}")


class RunQueue(Command):
    """nx-runq [CPU]
The run queues: for each class with members its virtual time V, and the members in the order of their deadlines; vt <= V
is eligible. * runs."""
    name = "nx-runq"

    def run(self, arguments):
        for cpu in [int(argument, 0) for argument in arguments] or possible_cpus():
            queue = hart(cpu)["queue"]
            print(f"cpu {cpu}: {number(queue['runnable_'])} runnable, {number(queue['throttled_']['size_'])} throttled")
            for index in range(len(CLASSES)):
                self.show(index, element(queue["classes_"], index)["queue"])

    @staticmethod
    def show(index, queue):
        running = int(queue["running_"])
        waiting = list(tree(queue["waiting_"]["root_"], "node_"))
        if not running and not waiting:
            return
        kind = gdb.lookup_type("kernel::sched::Entity").pointer()
        members = [(gdb.Value(running).cast(kind).dereference(), "*")] if running else []
        members += [(entity, " ") for entity in waiting]
        names = {number(entity["effective_"]) for entity, _ in members}
        label = CLASSES[names.pop()] if len(names) == 1 else f"queue {index}"
        virtual = number(queue["base_"])
        print(f"  {label}: V {virtual}, {len(members)} tasks, weight {number(queue['sum_weight_'])}")
        for entity, mark in members:
            position = entity["position_"]
            task = task_of(int(entity.address))
            print(f"  {mark} {describe(task)}: vt {number(position['vt']) - virtual:+} deadline "
                  f"{number(position['deadline']) - virtual:+} weight {number(position['weight'])}")


class PageTable(Command):
    """nx-pt ADDRESS [TID]
The page table entries on the way to an address: of the task with that id, else of the kernel or, below it, of what the
selected hart runs."""
    name = "nx-pt"

    def run(self, arguments):
        if not 1 <= len(arguments) <= 2:
            raise gdb.GdbError("nx-pt: wants an address, and perhaps a task's id")
        address = number(evaluate(arguments[0])) & (1 << 64) - 1
        table = self.root(int(arguments[1], 0) if len(arguments) == 2 else None)
        if address >> 38 not in (0, (1 << 26) - 1):
            raise gdb.GdbError(f"nx-pt: {address:#x} is no Sv39 address")
        for level in (2, 1, 0):
            index = address >> 12 + 9 * level & 511
            entry = word(PHYSMAP + table + 8 * index)
            flags = "".join(flag if entry >> bit & 1 else "-" for bit, flag in enumerate(PTE_FLAGS))
            physical = (entry >> 10 & (1 << 44) - 1) << 12
            print(f"level {level}: table {table:#x} entry {index}: {entry:#018x} {flags} {physical:#x}")
            if entry & 1 == 0:
                print("not mapped" + (" for any access, but resident" if entry >> 9 & 1 else ""))
                return
            if entry & 0xe:
                rest = address & (1 << 12 + 9 * level) - 1
                print(f"{address:#x} is at {physical + rest:#x}")
                return
            table = physical

    @staticmethod
    def root(tid):
        if tid is None:
            satp = int(gdb.parse_and_eval("$satp")) & (1 << 64) - 1
            if satp >> 60 != MODE_SV39:
                raise gdb.GdbError("nx-pt: the selected hart does not translate addresses")
            return (satp & (1 << 44) - 1) << 12
        for task in tasks():
            if number(task["tid_"]) == tid:
                space = task["process_"]["object_"].dereference()["space_"]
                if int(space) == 0:
                    raise gdb.GdbError(f"nx-pt: task {tid} has no memory")
                return number(space.dereference()["page_table_"]["root_"])
        raise gdb.GdbError(f"nx-pt: no task {tid}")


class Log(Command):
    """nx-log [LINES]
The kernel's log as it keeps it, lines that were not shown included; the last LINES of it."""
    name = "nx-log"

    def run(self, arguments):
        ring = static("kernel::log", "ring")
        storage = static("kernel::log", "ring_bytes")
        size = storage.type.strip_typedefs().sizeof
        raw = read(int(storage.address), size)
        oldest, head = number(ring["oldest_"]), number(ring["head_"])
        begin, end = oldest % size, head % size
        whole = raw[begin:end] if begin <= end and head - oldest < size else raw[begin:] + raw[:end]
        lines = whole.decode("utf-8", "replace").splitlines()
        for line in lines[-int(arguments[0], 0):] if arguments else lines:
            print(line)


for command in (Harts, Tasks, RunQueue, PageTable, Log):
    command()
