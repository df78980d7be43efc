// SPDX-License-Identifier: MIT
#include "supervision_loop.hpp"

#include <pthread.h>

#include <condition_variable>
#include <mutex>

namespace execd {
namespace {

class Loop {
  public:
    Loop(Supervisor& supervisor, Kernel& kernel, const LineSink& log)
        : supervisor_{&supervisor}, kernel_{&kernel}, log_{&log} {}
    Loop(const Loop&) = delete;
    Loop& operator=(const Loop&) = delete;

    ~Loop() {
        if (!has_thread_) {
            return;
        }
        {
            const std::lock_guard lock{mutex_};
            is_stopping_ = true;
        }
        pause_changed_.notify_one();
        pthread_join(thread_, nullptr);
    }

    void run(bool forever) {
        std::unique_lock lock{mutex_};
        supervisor_->start_ready();
        for (;;) {
            prepare_restart(lock);
            lock.unlock();
            const auto ended = kernel_->wait_for_child();
            lock.lock();
            if (ended.ok()) {
                supervisor_->child_ended(*ended);
            } else if (ended.error() == Error::NoChild) {
                if (!wait_for_start(lock, forever)) {
                    return;
                }
            } else if (ended.error() != Error::Interrupted) {
                // Not a kernel to supervise on; trying again would only spin.
                (*log_)("execd: cannot wait for services: " + describe(ended.error()));
                started_.wait(lock, [&] { return !forever; });
                return;
            }
        }
    }

  private:
    // There is no child to wait for: until there is one. false: there will be none, and the loop may end.
    bool wait_for_start(std::unique_lock<std::mutex>& lock, bool forever) {
        if (!has_thread_ && supervisor_->next_restart()) {
            return true;
        }
        const auto may_end = [&] { return !forever && supervisor_->is_finished(); };
        started_.wait(lock, [&] { return supervisor_->has_running() || may_end(); });
        return supervisor_->has_running();
    }

    // Sees to it that someone starts what is paused when its time has come.
    void prepare_restart(std::unique_lock<std::mutex>& lock) {
        const auto due = supervisor_->next_restart();
        if (!due) {
            return;
        }
        if (has_thread_ || start_thread()) {
            pause_changed_.notify_one();
            return;
        }
        (*log_)("execd: no memory for the restart thread: waits for the pause instead of for children");
        while (kernel_->now() < *due) {
            pause_changed_.wait_until(lock, *due);
        }
        supervisor_->restart_due();
    }

    // pthread_create and not std::thread, whose constructor answers a lack of memory by ending the process.
    bool start_thread() {
        has_thread_ = pthread_create(&thread_, nullptr, &Loop::restart_thread, this) == 0;
        return has_thread_;
    }

    static void* restart_thread(void* self) {
        static_cast<Loop*>(self)->restart_until_stopped();
        return nullptr;
    }

    void restart_until_stopped() {
        std::unique_lock lock{mutex_};
        while (!is_stopping_) {
            const auto due = supervisor_->next_restart();
            if (!due) {
                pause_changed_.wait(lock);
            } else if (kernel_->now() < *due) {
                pause_changed_.wait_until(lock, *due);
            } else {
                supervisor_->restart_due();
                started_.notify_one();
            }
        }
    }

    Supervisor* supervisor_;  // guarded by mutex_
    Kernel* kernel_;
    const LineSink* log_;
    std::mutex mutex_;
    std::condition_variable started_;  // the restart thread has started, or given up on, a service
    std::condition_variable
        pause_changed_;        // next_restart() may be earlier than before, or is_stopping_ is set
    bool is_stopping_{false};  // guarded by mutex_
    bool has_thread_{false};   // touched by the thread in run() only; thread_ is valid when set
    pthread_t thread_{};
};

}  // namespace

void supervise(Supervisor& supervisor, Kernel& kernel, const LineSink& log, bool forever) {
    Loop loop{supervisor, kernel, log};
    loop.run(forever);
}

}  // namespace execd
