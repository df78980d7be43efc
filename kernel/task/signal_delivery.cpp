// SPDX-License-Identifier: MIT
#include "task/signal_delivery.hpp"

#include <array>
#include <bit>
#include <cstddef>
#include <new>
#include <span>
#include <utility>

#include "lib/check.hpp"
#include "lib/log.hpp"
#include "mm/file_object.hpp"
#include "mm/slab.hpp"
#include "mm/user_memory.hpp"
#include "task/dispatcher.hpp"
#include "task/hart.hpp"
#include "task/lifecycle.hpp"
#include "task/signal.hpp"

namespace kernel::task {

namespace {

// li a7, 139 (rt_sigreturn); ecall. Unwinders know a signal's frame by these two.
constexpr std::array<std::uint32_t, 2> kTrampolineCode{0x08b0'0893, 0x0000'0073};
constexpr std::uint64_t kEcallBytes = 4;
constexpr std::uint64_t kFcsrBits = 0xff;
constexpr auto kInterrupted = -static_cast<std::int64_t>(Error::Interrupted);
constexpr auto kTryAgain = -static_cast<std::int64_t>(Error::TryAgain);

constinit mm::ObjectPool<mm::FileObject> trampoline_pool;
constinit mm::FileObject* trampoline = nullptr;  // immutable once there is a program

// The call a signal interrupted, now that a handler will run.
void end_interrupted_call(Task& task, bool may_restart) {
    OnSignal interruption = std::exchange(task.interruption, OnSignal::Stays);
    if (interruption == OnSignal::Stays) {
        return;
    }
    if (interruption == OnSignal::IsUndone) {
        task.on_interrupted(task);
        task.on_interrupted = nullptr;
        if (std::exchange(task.call_progress, 0) != 0) {
            return;
        }
        interruption = may_restart ? OnSignal::Restarts : OnSignal::Fails;
    }
    if (interruption == OnSignal::Restarts && task.call_progress != 0) {
        task.frame.set_result(static_cast<std::int64_t>(task.call_progress));
    } else if (interruption == OnSignal::BeginsAnew || (interruption == OnSignal::Restarts && may_restart)) {
        task.frame.pc -= kEcallBytes;
    } else if (interruption == OnSignal::GivesUp) {
        task.frame.set_result(kTryAgain);
    } else {
        if (task.on_interrupted != nullptr) {
            task.on_interrupted(task);
        }
        task.frame.set_result(kInterrupted);
    }
    task.call_progress = 0;
}

// There was no handler after all.
void resume_call(Task& task) {
    if (std::exchange(task.interruption, OnSignal::Stays) != OnSignal::Stays) {
        task.frame.pc -= kEcallBytes;  // its arguments are as they were
    } else if (task.has_saved_mask) {
        task.has_saved_mask = false;
        set_signal_mask(task, task.saved_mask);
    }
}

UserStack to_user_stack(const AlternateStack& stack, std::uint64_t sp) {
    std::uint32_t flags = stack.disarms ? kStackDisarms : 0;
    if (stack.bytes == 0) {
        flags |= kStackDisabled;
    } else if (stack.contains(sp)) {
        flags |= kStackInUse;
    }
    return {.start = stack.start, .flags = flags, .pad = 0, .bytes = stack.bytes};
}

void store_alternate_stack(Task& task, const UserStack& wanted) {
    const bool is_disabled = (wanted.flags & kStackDisabled) != 0;
    task.alternate_stack = {.start = is_disabled ? 0 : wanted.start,
                            .bytes = is_disabled ? 0 : wanted.bytes,
                            .disarms = (wanted.flags & kStackDisarms) != 0};
}

// Writes the frame and makes the registers those of the handler's first instruction.
Result<void> enter_handler(Task& task, const SignalToTake& taken, std::uint64_t mask) {
    const AlternateStack& stack = task.alternate_stack;
    const std::uint64_t sp = task.frame.stack_pointer();
    const FramePlace place = place_frame(sp, stack.start, stack.bytes, stack.contains(sp),
                                         (taken.action.flags & signal::kOnAlternateStack) != 0);
    if (!place.fits) {
        return Error::BadAddress;
    }
    save_fp_for_copy(task);
    SignalFrame frame{};
    frame.info = to_siginfo(taken.number, taken.info);
    frame.stack = to_user_stack(stack, sp);
    frame.mask = mask;
    frame.registers = task.frame;
    frame.f = task.fp.f;
    frame.fcsr = task.fp.fcsr & kFcsrBits;
    TRY(mm::copy_to_user(task.process().space(), VirtAddr{place.address},
                         std::as_bytes(std::span{&frame, 1})));
    if (stack.disarms) {
        task.alternate_stack = {};
    }
    task.frame.pc = taken.action.handler;
    task.frame.set_reg(1, kTrampoline.value());
    task.frame.set_stack_pointer(place.address);
    task.frame.set_result(taken.number);
    task.frame.set_reg(11, place.address + offsetof(SignalFrame, info));
    task.frame.set_reg(12, place.address + offsetof(SignalFrame, flags));
    return {};
}

void end_for_frame(Task& task, std::string_view what) {
    const Task::Name name = task.name();
    log::error("signal: ", std::string_view{name.data()}, " (pid ", task.process().pid(), " tid ", task.tid(),
               "): ", what, ", sp ", hex(task.frame.stack_pointer()), ", killed by signal ",
               signal::kSegmentation);
    end_by_fault(task, signal::kSegmentation);
}

}  // namespace

Result<void> prepare_trampoline() {
    if (trampoline == nullptr) {
        trampoline = TRY(trampoline_pool.create("[sigreturn]", std::as_bytes(std::span{kTrampolineCode})));
    }
    return {};
}

Result<void> map_trampoline(mm::AddressSpace& space) {
    CHECK(trampoline != nullptr);
    TRY(space.map_file({.address = kTrampoline,
                        .bytes = mm::kPageSize,
                        .protection = {.read = true, .write = false, .execute = true},
                        .placement = mm::Placement::FixedNoReplace},
                       {.file = trampoline, .offset = 0, .bytes = sizeof(kTrampolineCode)}));
    return {};
}

void deliver_signals(Task& task) {
    // Cleared first: what comes from here on sets it again.
    task.exit_work.fetch_and(Task::kEndWork);
    const SignalToTake taken = take_signal(task);
    switch (taken.what) {
        case SignalToTake::What::Nothing:
            resume_call(task);
            return;
        case SignalToTake::What::Stop:
            // What it does not stop for now is looked at again.
            task.exit_work.fetch_or(Task::kSignalWork);
            begin_stop(task, taken.number);
            return;
        case SignalToTake::What::StayStopped:
            stop_thread(task);
            return;
        case SignalToTake::What::End:
            exit_process(task.process(), status_signaled(taken.number));
            return;
        case SignalToTake::What::Handle:
            break;
    }
    end_interrupted_call(task, (taken.action.flags & signal::kRestart) != 0);
    const std::uint64_t in_force = task.signal_mask.load(std::memory_order_relaxed);
    const std::uint64_t before = std::exchange(task.has_saved_mask, false) ? task.saved_mask : in_force;
    if (!enter_handler(task, taken, before).ok()) {
        end_for_frame(task, "no stack for a handler");
        return;
    }
    const std::uint64_t itself = (taken.action.flags & signal::kNoDefer) != 0 ? 0 : signal::bit(taken.number);
    set_signal_mask(task, in_force | taken.action.mask | itself);
}

SysResult return_from_handler(Task& caller) {
    SignalFrame frame;
    if (!mm::copy_from_user(caller.process().space(), std::as_writable_bytes(std::span{&frame, 1}),
                            VirtAddr{caller.frame.stack_pointer()})
             .ok()) {
        end_for_frame(caller, "no frame to return to");
        return SysResult::no_result();
    }
    save_fp_for_copy(caller);  // what the registers hold must not be saved over the frame's
    caller.fp = {.f = frame.f, .fcsr = frame.fcsr & kFcsrBits};
    caller.fp_epoch = 0;
    caller.frame = frame.registers;
    store_alternate_stack(caller, frame.stack);
    set_signal_mask(caller, frame.mask);
    return SysResult::no_result();
}

UserStack read_alternate_stack(const Task& task) {
    return to_user_stack(task.alternate_stack, task.frame.stack_pointer());
}

Result<void> set_alternate_stack(Task& task, const UserStack& wanted) {
    if (task.alternate_stack.contains(task.frame.stack_pointer())) {
        return Error::NotPermitted;
    }
    if ((wanted.flags & ~(kStackInUse | kStackDisabled | kStackDisarms)) != 0) {
        return Error::InvalidArgument;
    }
    if ((wanted.flags & kStackDisabled) == 0 && wanted.bytes < kSmallestStack) {
        return Error::NoMemory;
    }
    store_alternate_stack(task, wanted);
    return {};
}

}  // namespace kernel::task
