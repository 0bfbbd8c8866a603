// FunctionRef: a reference to something callable, for functions that call it before they return without being templates of it.
#ifndef COTENANT_CORE_FUNCTION_REF_HPP
#define COTENANT_CORE_FUNCTION_REF_HPP
#include <utility>

namespace cotenant {

template <class Signature> class FunctionRef;

// FunctionRef<int(float)> calls what it was made from, which must outlive it: pass it to a function, do not keep it.
template <class Result, class... Arguments> class FunctionRef<Result(Arguments...)> {
 public:
  template <class F> FunctionRef(const F& f) noexcept
      : f_(&f), call_([](const void* g, Arguments... arguments) -> Result {
          return static_cast<Result>((*static_cast<const F*>(g))(std::forward<Arguments>(arguments)...));  // of void, too
        }) {}
  Result operator()(Arguments... arguments) const { return call_(f_, std::forward<Arguments>(arguments)...); }

 private:
  const void* f_;
  Result (*call_)(const void*, Arguments...);
};

}  // namespace cotenant

#endif
