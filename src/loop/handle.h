#pragma once

#include <uv.h>

// For this folder; <uv.h> is included nowhere else.
namespace sc::loop {

// A libuv handle and the function it calls, in one allocation. The C++ owner dies at once, this
// memory when libuv lets go of the handle, a turn later: so a function may destroy the object that
// owns it and still return.
template <class UvHandle, class Function>
struct Watcher {
  UvHandle handle{};  // first member: libuv's pointer to it is a pointer to the watcher
  Function function;
};

template <class W>
uv_handle_t* as_handle(W* watcher) {
  return reinterpret_cast<uv_handle_t*>(&watcher->handle);
}

// For a deleter: stops at once, frees in libuv's close callback. `data` is cleared, so that a
// callback which was queued already finds nobody.
template <class W>
void close_watcher(W* watcher) noexcept {
  watcher->handle.data = nullptr;
  uv_close(as_handle(watcher), [](uv_handle_t* closed) { delete reinterpret_cast<W*>(closed); });
}

// Throws std::runtime_error; libuv's inits fail for lack of memory or a descriptor that cannot be
// polled.
void check(int status, const char* what);

}  // namespace sc::loop
