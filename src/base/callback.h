#pragma once

#include <cassert>
#include <concepts>
#include <memory>
#include <type_traits>
#include <utility>

namespace sc::base {

template <class Signature>
class Callback;

// A function object that can hold what cannot be copied (an Fd, another Callback); what
// std::move_only_function is in C++23. One thread at a time; where it is called is said by whoever
// takes it.
template <class R, class... Args>
class Callback<R(Args...)> {
 public:
  Callback() = default;
  template <class F>
  requires(!std::same_as<std::remove_cvref_t<F>, Callback> &&
           std::is_invocable_r_v<R, std::remove_cvref_t<F>&, Args...>)
      Callback(F&& function)  // NOLINT: implicit, as a lambda is passed where a Callback is taken
      : held_(std::make_unique<Holder<std::remove_cvref_t<F>>>(std::forward<F>(function))) {}

  explicit operator bool() const { return held_ != nullptr; }

  R operator()(Args... args) {
    assert(held_);
    return held_->call(std::forward<Args>(args)...);
  }

 private:
  struct Held {
    Held() = default;
    Held(const Held&) = delete;
    Held& operator=(const Held&) = delete;
    virtual ~Held() = default;
    virtual R call(Args... args) = 0;
  };
  template <class F>
  struct Holder final : Held {
    template <class G>
    explicit Holder(G&& given) : function(std::forward<G>(given)) {}
    R call(Args... args) override {
      if constexpr (std::is_void_v<R>) {
        function(std::forward<Args>(args)...);  // it may answer something nobody asked for
      } else {
        return function(std::forward<Args>(args)...);
      }
    }
    F function;
  };

  std::unique_ptr<Held> held_;
};

}  // namespace sc::base
