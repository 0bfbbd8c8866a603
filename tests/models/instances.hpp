// The encoder that most of these tests use, compiled once for all of them (instances.cpp).
#ifndef COTENANT_TESTS_MODELS_INSTANCES_HPP
#define COTENANT_TESTS_MODELS_INSTANCES_HPP
#include "cotenant/cpu/cpu.hpp"
#include "cotenant/models/encoder.hpp"

extern template class cotenant::Encoder<float>;

#endif
