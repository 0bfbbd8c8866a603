// rotary as the plainest loop: pair after pair, in double.
#ifndef COTENANT_REFERENCE_ROTARY_HPP
#define COTENANT_REFERENCE_ROTARY_HPP
#include <cstddef>

#include "cotenant/ops/rotary.hpp"
#include "cotenant/reference/element.hpp"

namespace cotenant::reference {

template <class In, class Table, class Out> void rotary(const RotaryArguments<In, Table, Out>& a) {
  for (std::size_t i = 0; i < a.out_first.view.size(); ++i) {
    const auto first = load<double>(a.first.view, i), second = load<double>(a.second.view, i);
    const auto cosine = load<double>(a.cosine.view, i), sine = load<double>(a.sine.view, i);
    store(a.out_first.view, i, first * cosine - second * sine);
    store(a.out_second.view, i, second * cosine + first * sine);
  }
}

}  // namespace cotenant::reference

#endif
