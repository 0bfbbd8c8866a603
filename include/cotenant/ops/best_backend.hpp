// with_best_backend: picks a backend once, at run time, and calls generic code with it.
#ifndef COTENANT_OPS_BEST_BACKEND_HPP
#define COTENANT_OPS_BEST_BACKEND_HPP
#include <optional>
#include <utility>

#include "cotenant/ops/backend.hpp"

namespace cotenant {

namespace detail {
template <class C> struct CandidateBackend { using type = C; };
template <Storage S> struct CandidateBackend<S> { using type = backend_of<S>; };
}  // namespace detail

// A backend that this machine may not have: create() gives an instance, or nothing.
template <class B> concept OptionalBackend = Backend<B> && requires {
  { B::create() } -> std::same_as<std::optional<B>>;
};
// Such a backend, or the storage that its tensors lie in.
template <class C> concept BackendCandidate = OptionalBackend<typename detail::CandidateBackend<C>::type>;

// Calls f(backend) with the first of Candidates that this machine has, else with the CPU's, and returns f's result.
//   with_best_backend<Vulkan>([&](auto& backend) { auto w = weights.copy_to(backend.storage()); … });
// (HostStorage is a parameter only so that the CPU backend may be included after this header.)
template <BackendCandidate... Candidates, class F, Storage HostStorage = Heap> decltype(auto) with_best_backend(F&& f) {
  using Host = backend_of<HostStorage>;
  static_assert(Backend<Host>, "no CPU backend is included: include <cotenant/cotenant.hpp>, or cotenant/cpu/cpu.hpp");
  using Result = decltype(f(std::declval<Host&>()));
  const auto on_host = [&]() -> Result {
    Host host{};
    return f(host);
  };
  if constexpr (sizeof...(Candidates) == 0) {
    return on_host();
  } else {
    return [&]<class First, class... Rest>(std::type_identity<First>, std::type_identity<Rest>...) -> Result {
      using B = typename detail::CandidateBackend<First>::type;
      if (std::optional<B> backend = B::create()) return f(*backend);
      return with_best_backend<Rest...>(std::forward<F>(f));
    }(std::type_identity<Candidates>{}...);
  }
}

}  // namespace cotenant

#endif
